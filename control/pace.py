"""How long the rest of a run takes: at the rate that was measured, and no faster than its throttle allows by then."""

from collections.abc import Callable
from dataclasses import replace

from holdfast.activities.throttle import rules_of
from holdfast.contracts.common import Progress
from holdfast.pace import local_minute


def seconds_left(
    progress: Progress, count: float, bytes_per_s: float, *, minute: Callable[[], int] = local_minute
) -> float | None:
    """Seconds for so many bytes from now on; None of a run that is paused, or without a rate.

    The windows of a throttle are of the worker's clock, and are read by this host's. Where a limit has slowed down what
    was measured, the time without it is not known: what is said is then the longest.
    """
    if progress.paused or bytes_per_s <= 0:
        return None
    return rules_of(progress.throttle).seconds_for(count, bytes_per_s, minute())


def as_throttled(progress: Progress) -> Progress:
    """A run's own reckoning, which knows no time of day, with its throttle."""
    if progress.seconds_left is None or not progress.throttle.limits:
        return progress
    left = seconds_left(
        progress, progress.seconds_left * progress.bytes_per_second, progress.bytes_per_second
    )
    return replace(progress, seconds_left=None if left is None else round(left))
