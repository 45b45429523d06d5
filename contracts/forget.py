"""Messages of a forgetting: one dataclass into and one out of the workflow and of each of its activities."""

from dataclasses import dataclass, field

from holdfast.contracts.common import Ending, RunPolicy, RunRef, Trigger, Verdict
from holdfast.contracts.warrant import Warranted
from holdfast.terms import RunStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetRequest(Warranted):
    """Input of the forget workflow.

    repository: a profile's name, or "@token". source: only this source's snapshots. selection: "@token" of the private
    request file that names snapshots, or filters and a policy; without one, the policies of the worker's settings.
    """

    repository: str
    source: str = ""
    selection: str = ""
    trigger: Trigger = field(default_factory=Trigger)
    policy: RunPolicy = field(default_factory=RunPolicy)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetTriggerInput:
    """Opens the run: decides what goes."""

    run: RunRef
    request: ForgetRequest
    started_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetOpened:
    """It is decided: so many snapshots go, and so many that were looked at stay. tell: the run's end is to be told."""

    going: int = 0
    stays: int = 0
    tell: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """So many are away; spared are those that something holds since it was decided. emptied: what left the bin. bin_s:
    for how long they can be taken back."""

    forgotten: int = 0
    spared: int = 0
    emptied: int = 0
    bin_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetLogInput:
    """Asks for the journal's record of the run as it stands. close: and to remove its workspace then."""

    run: RunRef
    request: ForgetRequest
    started_ns: int
    ending: Ending
    opened: ForgetOpened | None = None
    done: Forgotten | None = None
    close: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetResult(Warranted):
    """Output of the forget workflow. status: partial where some were spared."""

    run_id: str
    status: RunStatus
    opened: ForgetOpened
    done: Forgotten
    started_ns: int = 0
    ended_ns: int = 0

    @property
    def verdict(self) -> Verdict | None:
        """None: there is nothing to verify."""
        return None
