"""Messages about notices: the end of a run is told, and a watchdog looks for what did not run."""

from dataclasses import dataclass, field
from typing import Final

from holdfast.contracts.common import Ending, RunPolicy, RunRef
from holdfast.contracts.warrant import Warranted
from holdfast.terms import RunKind

WATCHDOG_WORKFLOW: Final = "Watchdog"
NOTIFY: Final = "notify"
WATCH: Final = "watch"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyInput:
    """Asks that those be told who want to know how the run ended.

    The journal has the details; what stands here is for the case that it cannot be read."""

    run: RunRef
    kind: RunKind
    ending: Ending
    started_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Notified:
    """Counts of addresses that were told, and that could not be; pinged: the source's ping URL answered."""

    sent: int = 0
    failed: int = 0
    pinged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchState(Warranted):
    """The watchdog remembers this from one look to the next: each look's result, and the next one's input.

    seen, told: by source, when it was looked at first, and when it was last told of as overdue. missed: by schedule,
    how many runs it had missed. waiting: by run that waits, since when it was seen to; waiting_told: those of them that
    were told. Times are nanoseconds since 1970.
    """

    seen: dict[str, int] = field(default_factory=dict)
    told: dict[str, int] = field(default_factory=dict)
    missed: dict[str, int] = field(default_factory=dict)
    waiting: dict[str, int] = field(default_factory=dict)
    waiting_told: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchdogRequest(Warranted):
    """Input of the watchdog workflow, which a schedule starts every few minutes."""

    policy: RunPolicy = field(default_factory=RunPolicy)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchInput:
    """Asks for a look. now_ns comes from the workflow's clock, so that a retry looks at the same moment."""

    state: WatchState
    now_ns: int
