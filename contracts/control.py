"""A run that is under way may be asked to do these: pause, resume, throttle, cancel, change its priority.

Each is an update (its answer says whether it was taken) and a signal of the same name, for services that only
signal. Updates go on being taken after a history has used up its 10,000 signals.

A prune asks it to stand aside (docs/adr/0053): a signal alone, because what answers it is that the run's lock goes.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from holdfast.contracts.warrant import Warranted

PAUSE: Final = "pause"
RESUME: Final = "resume"
THROTTLE: Final = "throttle"
CANCEL: Final = "cancel"
SET_PRIORITY: Final = "set_priority"
STAND_ASIDE: Final = "stand_aside"
CONTROL_QUERY: Final = "control"
REPOSITORY_ATTRIBUTE: Final = "HoldfastRepository"
"""The search attribute that has the alias of a run's repository; runs that can stand aside have it."""
PAUSED: Final = "paused"
"""How the server shows a run that is paused."""
REFUSED: Final = "Refused"
"""The type of the error with which a run refuses what makes no sense."""

HIGHEST_PRIORITY: Final = 1
LOWEST_PRIORITY: Final = 5
NORMAL_PRIORITY: Final = 3
MIN_RATE_BYTES: Final = 1024
LONGEST_STAND_S: Final = 120
"""No run stands aside for longer than this after it was last asked, whatever that said."""
_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
_MAX_WINDOWS: Final = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked(Warranted):
    """The person who asks, and why; both are shown and recorded."""

    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrottleWindow:
    """A daily time by the worker's local clock, "22:00" to "06:00" say, and the rate in it (0: as fast as possible)."""

    start: str
    end: str
    bytes_per_second: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """A limit on how fast a run may read its source (a backup) or the repository (a restore); 0 means none.

    The first window that holds the time decides, else bytes_per_second.
    """

    bytes_per_second: int = 0
    windows: tuple[ThrottleWindow, ...] = ()

    @property
    def limits(self) -> bool:
        """Whether there is ever a limit."""
        return bool(self.bytes_per_second or any(window.bytes_per_second for window in self.windows))

    def words(self, size: Callable[[int], str]) -> str:
        """`5.0 MiB/s; 22:00 to 06:00: no limit`. size: a count of bytes in words."""

        def rate(bytes_per_second: int) -> str:
            return f"{size(bytes_per_second)}/s" if bytes_per_second else "no limit"

        windows = (f"{w.start} to {w.end}: {rate(w.bytes_per_second)}" for w in self.windows)
        return "; ".join([rate(self.bytes_per_second), *windows])


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrottleRequest(Warranted):
    """A new throttle in place of the one before."""

    throttle: Throttle = field(default_factory=Throttle)
    asked: Asked = field(default_factory=Asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorityRequest(Warranted):
    """A new priority for the activities that are started from now on: 1 is the highest, 5 the lowest."""

    priority: int = NORMAL_PRIORITY
    asked: Asked = field(default_factory=Asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class StandAside(Warranted):
    """Asks a run to stand at a checkpoint, without a lock, until until_ns by the server's clock; 0 lets it go on.

    by: the run that asks; what it says later about the same stand counts, and what others say does not. what_for: the
    word that people read, "a prune's short part".
    """

    by: str
    what_for: str = ""
    until_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlState(Warranted):
    """The requests that a run has taken so far. It goes along when the run continues as new.

    pause: who paused it and why, None while it is not paused. paused_ns: since when. paused_for_ns: its earlier pauses
    together. stand: what it stands aside for.
    """

    pause: Asked | None = None
    paused_ns: int = 0
    paused_for_ns: int = 0
    throttle: Throttle = field(default_factory=Throttle)
    priority: int = NORMAL_PRIORITY
    cancel: Asked | None = None
    stand: StandAside | None = None

    @property
    def is_free(self) -> bool:
        """Whether it may go on."""
        return self.pause is None and self.stand is None


def minute_of_day(clock: str) -> int:
    """Minutes since midnight of a time of day such as 06:30.

    Raises:
        ValueError: it is no time of day.
    """
    match = _CLOCK.fullmatch(clock)
    if match is None:
        raise ValueError(f"{clock!r} is no time of day; write one like 22:30")
    return int(match[1]) * 60 + int(match[2])


def check_throttle(throttle: Throttle) -> None:
    """Refuse what cannot be meant.

    Raises:
        ValueError: a rate below 1 KiB/s, a time that is none, or too many windows.
    """
    if len(throttle.windows) > _MAX_WINDOWS:
        raise ValueError(f"more than {_MAX_WINDOWS} windows")
    for rate in (throttle.bytes_per_second, *(window.bytes_per_second for window in throttle.windows)):
        if rate and rate < MIN_RATE_BYTES:
            raise ValueError(
                f"a rate is at least {MIN_RATE_BYTES} bytes per second, or 0 for none; to stop, pause"
            )
    for window in throttle.windows:
        if minute_of_day(window.start) == minute_of_day(window.end):
            raise ValueError("a window that ends when it begins; for the whole day leave the windows out")
