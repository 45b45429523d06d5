"""How fast a piece of work may go: a limit in bytes per second that may depend on the time of day.

What is spent is counted against a moment in the future: each `spend` moves it on by the time that the bytes are worth,
and the answer is how long to wait until it has come. So the average keeps to the rate whatever the pieces' sizes, and
time that was not used is forgotten after a second instead of making a burst later.
"""

import contextlib
import fcntl
import functools
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_FORGIVEN_S: Final = 1.0
_MINUTES_PER_DAY: Final = 24 * 60
_DAYS_AHEAD: Final = 30
_WAIT_STEP_S: Final = 0.25
_BOOT_BYTES: Final = 36
_LEDGER: Final = struct.Struct(f"<{_BOOT_BYTES}sd")
PIECE_S: Final = 1.0
"""Work that can choose takes pieces of about this much time, so that a limit is felt as a steady pace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateWindow:
    """A daily stretch of time, in minutes since local midnight, that may go over midnight; 0 bytes: no limit in it."""

    start_minute: int
    end_minute: int
    bytes_per_second: int

    def holds(self, minute: int) -> bool:
        """Whether it is within."""
        length = (self.end_minute - self.start_minute) % _MINUTES_PER_DAY
        return (minute - self.start_minute) % _MINUTES_PER_DAY < length


@dataclass(frozen=True, slots=True, kw_only=True)
class RateRules:
    """The first window that holds the time decides, else bytes_per_second; 0 means no limit."""

    bytes_per_second: int = 0
    windows: tuple[RateWindow, ...] = ()

    @property
    def limits(self) -> bool:
        """Whether there is ever a limit."""
        return bool(self.bytes_per_second or any(window.bytes_per_second for window in self.windows))

    def rate_at(self, minute: int) -> int:
        """The limit at a minute of the local day."""
        return next((w.bytes_per_second for w in self.windows if w.holds(minute)), self.bytes_per_second)

    def seconds_for(self, count: float, bytes_per_s: float, minute: int) -> float:
        """How long so many bytes take from a minute of the local day on, at a rate that is lower where a limit is.

        bytes_per_s: more than 0. Beyond `_DAYS_AHEAD` days, the limit of that moment is taken to stay.
        """
        edges = sorted({edge for w in self.windows for edge in (w.start_minute, w.end_minute)})
        seconds = 0.0
        for _ in range(_DAYS_AHEAD * len(edges)):
            pace = self._within(bytes_per_s, minute)
            stretch = min((edge - minute - 1) % _MINUTES_PER_DAY + 1 for edge in edges)
            if count <= pace * stretch * 60:
                break
            count -= pace * stretch * 60
            seconds += stretch * 60
            minute = (minute + stretch) % _MINUTES_PER_DAY
        return seconds + count / self._within(bytes_per_s, minute)

    def _within(self, bytes_per_s: float, minute: int) -> float:
        limit = self.rate_at(minute)
        return min(bytes_per_s, limit) if limit else bytes_per_s


def local_minute() -> int:
    """Minutes since midnight on this host's clock."""
    now = time.localtime()
    return now.tm_hour * 60 + now.tm_min


class Pace:
    """Keeps one piece of work to its rules. For one thread at a time."""

    def __init__(
        self,
        rules: RateRules,
        *,
        clock: Callable[[], float] = time.monotonic,
        minute: Callable[[], int] = local_minute,
    ) -> None:
        self._rules = rules
        self._clock = clock
        self._minute = minute
        self._paid_until = clock()

    def spend(self, count: int) -> float:
        """Account for `count` bytes that are about to be read; how many seconds to wait before."""
        now = self._clock()
        rate = self._rules.rate_at(self._minute())
        if not rate:
            self._paid_until = now
            return 0.0
        begin = max(self._paid_until, now - _FORGIVEN_S)
        self._paid_until = begin + count / rate
        return max(0.0, begin - now)

    def piece_bytes(self, most: int) -> int:
        """How much to take at a time: `most`, or about a second's worth where there is a limit."""
        rate = self._rules.rate_at(self._minute())
        return min(most, max(1, int(rate * PIECE_S))) if rate else most


class SharedPace(Pace):
    """Keeps all who name one file to one rate, of whatever process of this host. Thread-safe.

    The file holds until when is paid, by the clock of this boot, and the boot: what another one has left is nothing. A
    process that dies has paid for what it did not do, one piece at most. Where the file cannot be had, each process
    keeps to the rate by itself.
    """

    def __init__(
        self, rules: RateRules, ledger: Path, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(rules, clock=clock)
        self._ledger = ledger
        self._lock = threading.Lock()
        self._descriptor = -1

    def spend(self, count: int) -> float:
        """See `Pace`."""
        with self._lock, self._alone() as descriptor:
            if descriptor < 0:
                return super().spend(count)
            boot, paid_until = _LEDGER.unpack(
                os.pread(descriptor, _LEDGER.size, 0).ljust(_LEDGER.size, b"\0")
            )
            if boot == _this_boot():
                self._paid_until = paid_until
            wait_s = super().spend(count)
            os.pwrite(descriptor, _LEDGER.pack(_this_boot(), self._paid_until), 0)
            return wait_s

    @contextlib.contextmanager
    def _alone(self) -> Iterator[int]:
        """The open file, which no other process looks at meanwhile; -1 where there is none."""
        try:
            if self._descriptor < 0:
                self._ledger.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._descriptor = os.open(self._ledger, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX)
        except OSError:
            yield -1
            return
        try:
            yield self._descriptor
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN)


@functools.cache
def _this_boot() -> bytes:
    """What tells this boot from others; empty bytes where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_bytes()[:_BOOT_BYTES].ljust(_BOOT_BYTES, b"\0")
    except OSError:
        return bytes(_BOOT_BYTES)


def wait_out(seconds: float, on_wait: Callable[[], None]) -> None:
    """Wait, and call on_wait before each quarter of a second: what it raises ends the wait."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        on_wait()
        time.sleep(min(left, _WAIT_STEP_S))
