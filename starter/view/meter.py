"""Measures how fast a run goes, and how long it will take, by the bytes of the last seconds."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from holdfast.contracts.common import Progress
from holdfast.contracts.control import Throttle
from holdfast.control.pace import seconds_left

_WINDOW_S: Final = 15.0
_SHORTEST_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """elapsed_s: since the command began to look. bytes_per_s: None while it is not known, or the run stands still.

    seconds_left: None while the total or the rate is not known.
    """

    elapsed_s: float
    fraction: float
    bytes_per_s: float | None
    seconds_left: float | None


class Meter:
    """Reads progress at any pace."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._seen: deque[tuple[float, int]] = deque()
        self._throttle = Throttle()

    def read(self, progress: Progress | None, *, stands: bool = False) -> Reading:
        """The run at this moment. stands: it stands still, so that the time until it goes on is no part of its rate.

        A new throttle begins a new measurement.
        """
        now = self._clock()
        if progress is None:
            return Reading(elapsed_s=now - self._began, fraction=0.0, bytes_per_s=None, seconds_left=None)
        if stands or progress.paused or progress.throttle != self._throttle:
            self._throttle = progress.throttle
            self._seen.clear()
        self._seen.append((now, progress.bytes_done))
        while now - self._seen[0][0] > _WINDOW_S and len(self._seen) > 1:
            self._seen.popleft()
        rate = self._rate()
        missing = max(0, progress.bytes_total - progress.bytes_done)
        left = None
        if progress.selection_complete and rate:
            left = seconds_left(progress, missing, rate)
        return Reading(
            elapsed_s=now - self._began, fraction=_fraction(progress), bytes_per_s=rate, seconds_left=left
        )

    def _rate(self) -> float | None:
        (first_time, first), (last_time, last) = self._seen[0], self._seen[-1]
        if last_time - first_time < _SHORTEST_S:
            return None
        return max(0, last - first) / (last_time - first_time)


def _fraction(progress: Progress) -> float:
    """By bytes; by files where there are none. Never whole while the walk goes on."""
    done, total = progress.bytes_done, progress.bytes_total
    if not total:
        done, total = progress.files_done, progress.files_total
    if not total:
        return 0.0
    share = min(1.0, done / total)
    return share if progress.selection_complete else min(share, 0.99)
