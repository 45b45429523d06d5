"""What all results say alike: how long the run took, and whether it was verified."""

from contracts.verbs import Result
from holdfast.units import NS_PER_S, format_duration

Message = dict[str, object]


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
