"""Messages of a drill: one dataclass into and one out of the workflow and of each of its activities."""

from dataclasses import dataclass, field

from holdfast.contracts.common import Ending, RunPolicy, RunRef, Trigger, Verdict
from holdfast.contracts.restore import RestoreResult
from holdfast.contracts.verify import VerifyFinished
from holdfast.contracts.warrant import Warranted
from holdfast.terms import RunStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillRequest(Warranted):
    """Input of the drill workflow.

    repository: the profile's name. drill: a drill of the worker's settings, which says all the rest; empty for a plain
    trial restore of `sample` ("all", "5%", "1GiB") of `source`, without check and goals. snapshot: an id or the
    beginning of one; empty for the source's newest.
    """

    repository: str
    drill: str = ""
    source: str = ""
    sample: str = "all"
    snapshot: str = ""
    trigger: Trigger = field(default_factory=Trigger)
    policy: RunPolicy = field(default_factory=RunPolicy)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillTriggerInput:
    """Opens the run: finds the snapshot, draws the sample, makes the scratch place."""

    run: RunRef
    request: DrillRequest
    started_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillOpened:
    """The trial as it is opened.

    selection, verification: tokens of private request files, for the restore and for a verification of the snapshot if
    the restore fails. Of a sample of everything, the counts of all are not known (0).
    rto_s, rpo_s: the goals, 0 where there is none. check_timeout_s: 0 where there is no check. tell: its end
    is to be told. ahead: the first digits of snapshots that are dated in the future, where the newest was asked for.
    """

    source: str
    sample: str
    seed: str
    snapshot_id: str
    snapshot_time_ns: int
    selection: str
    verification: str
    sample_files: int = 0
    sample_bytes: int = 0
    files_of_all: int = 0
    bytes_of_all: int = 0
    rto_s: float = 0.0
    rpo_s: float = 0.0
    check_timeout_s: float = 0.0
    tell: bool = False
    ahead: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillCheckInput:
    """Asks for the user's own check of what was restored."""

    run: RunRef
    drill: str
    snapshot_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillChecked:
    """The end of the check; what it printed stays on the worker, and goes to the journal when it failed."""

    ok: bool
    exit_code: int
    timed_out: bool = False
    duration_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillFindings:
    """The proof that a drill gives.

    proven: all that was tried came back equal, and the check was content. recovery_ns: how long that took;
    estimated_recovery_ns: how long everything would take at this rate, 0 where the sample is too small to tell.
    data_age_ns: how old the newest data was when the drill began. rto_met, rpo_met: against the goals, None where there
    is none, or where nobody can tell.
    """

    proven: bool
    recovery_ns: int = 0
    estimated_recovery_ns: int = 0
    data_age_ns: int = 0
    rto_met: bool | None = None
    rpo_met: bool | None = None

    @property
    def ok(self) -> bool:
        """Whether it is proven and no goal was missed."""
        return self.proven and self.rto_met is not False and self.rpo_met is not False


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillLogInput:
    """Asks for the journal's record of the run as it stands."""

    run: RunRef
    request: DrillRequest
    started_ns: int
    ending: Ending
    opened: DrillOpened | None = None
    restored: RestoreResult | None = None
    restore_failure: str = ""
    checked: DrillChecked | None = None
    verified: VerifyFinished | None = None
    findings: DrillFindings | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillResult(Warranted):
    """Output of the drill workflow. status: whether it ran to its end; `findings` say what it proved."""

    run_id: str
    status: RunStatus
    findings: DrillFindings
    opened: DrillOpened
    restored: RestoreResult | None = None
    restore_failure: str = ""
    checked: DrillChecked | None = None
    verified: VerifyFinished | None = None
    started_ns: int = 0
    ended_ns: int = 0

    @property
    def verdict(self) -> Verdict | None:
        """The verdict of reading back the restored files."""
        return None if self.restored is None else self.restored.verdict
