"""Holds what is told of a result, and says what all say alike: how long the run took, whether it was verified."""

from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.contracts.hooks import HookDone
from holdfast.contracts.verbs import Result
from holdfast.units import NS_PER_S, format_duration

Message = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What is told of one result: lines for people, the document for programs.

    during: the verb, as programs are told what paths went wrong in. sound: of a run that only looks, whether all is as
    it should be; None where the run's verification says so. paths: those that went wrong are told even of a run that
    is complete. hooks: how they ended. ahead: snapshots that are dated in the future; taken: the one that was the
    latest.
    """

    lines: Sequence[str]
    summary: Message
    during: str
    sound: bool | None = None
    paths: bool = False
    dry_run: bool = False
    hooks: Sequence[HookDone] = ()
    ahead: Sequence[str] = ()
    taken: str = ""


def seconds(result: Result) -> float:
    """How long the run took."""
    return max(0, result.ended_ns - result.started_ns) / NS_PER_S


def took(result: Result) -> str:
    """The same for people: "1:02:03"."""
    return format_duration(result.ended_ns - result.started_ns)


def verified(result: Result) -> str:
    """What is said behind a good end: ", verified (written)"; empty where it was not verified, or not good."""
    verdict = result.verdict
    return f", verified ({verdict.level.value})" if verdict is not None and verdict.ok else ""


def verdict(result: Result) -> Message:
    """The verdict for programs; empty without one."""
    found = result.verdict
    return {} if found is None else {"verified": found.level.value, "verified_ok": found.ok}
