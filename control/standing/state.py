"""Judges how well a source is backed up: its state is the worst that is true of it. Pure, from values.

    never     no snapshot of it is known, whatever was tried
    overdue   the newest good backup began longer ago than its `max_age`
    failed    an attempt since the newest good backup failed, or was found to be damaged
    waiting   something of it does not go on by itself: a run, a guard that asks, schedules that are all paused
    partial   the newest good backup lacks paths that could not be read
    good

A good backup has a snapshot, complete or partial, in which no verification found damage. A run that a person has
stopped says nothing about its source.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from holdfast.service.journal.records import RunRecord
from holdfast.service.waits import Wait
from holdfast.terms import RunStatus
from holdfast.units import NS_PER_S


class State(StrEnum):
    """How a source stands, worst first."""

    NEVER = "never"
    OVERDUE = "overdue"
    FAILED = "failed"
    WAITING = "waiting"
    PARTIAL = "partial"
    GOOD = "good"

    @property
    def rank(self) -> int:
        """0 is the worst."""
        return _ORDER.index(self)

    @property
    def is_red(self) -> bool:
        """Whether what the source should have is not there."""
        return self in {State.NEVER, State.OVERDUE, State.FAILED}


_ORDER: Final = tuple(State)


class Subject(NamedTuple):
    """A source in a repository, as a host backs it up: what a line of `holdfast status` is about. Names, not paths."""

    repository: str
    source: str
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """When a source is backed up next by itself. note: why it is not, or what it depends on; empty beside a time.

    wait: all of its schedules are paused.
    """

    at_ns: int | None = None
    note: str = ""
    wait: Wait | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """The strongest verification on record that found all well. level: structure, written, share, full."""

    level: str
    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a source.

    good: its newest good backup. failures: those that failed since, newest first. proof: the newest drill that proves
    it. wait: why something of it does not go on by itself. max_age_s: of the good one; None where the settings say
    nothing. added_per_week: bytes as stored, by the backups of the last weeks; None where these are too few to tell.
    """

    subject: Subject
    good: RunRecord | None = None
    failures: Sequence[RunRecord] = ()
    verified: Verified | None = None
    proof: RunRecord | None = None
    wait: Wait | None = None
    max_age_s: float | None = None
    added_per_week: int | None = None
    next: Next = Next()


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A source and its state. since_ns: since when it is not good, where that is known."""

    facts: Facts
    state: State
    since_ns: int | None = None

    @property
    def size_bytes(self) -> int | None:
        """What the newest good backup holds."""
        return None if self.facts.good is None else self.facts.good.totals.bytes_total


def judge(facts: Facts, now_ns: int) -> Standing:
    """The standing of a source at a moment."""
    good = facts.good
    failed_ns = facts.failures[-1].started_ns if facts.failures else None
    if good is None:
        return Standing(facts=facts, state=State.NEVER, since_ns=failed_ns)
    if facts.max_age_s is not None:
        due_ns = good.started_ns + round(facts.max_age_s * NS_PER_S)
        if now_ns > due_ns:
            return Standing(facts=facts, state=State.OVERDUE, since_ns=due_ns)
    if failed_ns is not None:
        return Standing(facts=facts, state=State.FAILED, since_ns=failed_ns)
    if facts.wait is not None:
        return Standing(facts=facts, state=State.WAITING)
    if good.status is RunStatus.PARTIAL:
        return Standing(facts=facts, state=State.PARTIAL)
    return Standing(facts=facts, state=State.GOOD)


def worst_first(standing: Standing) -> tuple[int, Subject]:
    """The order of lines."""
    return standing.state.rank, standing.facts.subject
