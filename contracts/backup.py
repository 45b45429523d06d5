"""Messages of a backup: one dataclass into and one out of the workflow and of each of its activities."""

from dataclasses import dataclass, field

from holdfast.contracts.common import Ending, RunRef, Verdict
from holdfast.contracts.hooks import HookDone, HookRef
from holdfast.contracts.runs import PagePlanned, PlanInput, RunOpened, RunProgress, RunRequest
from holdfast.contracts.warrant import Warranted
from holdfast.terms import (
    RunStatus,
    SelectionTotals,
    SnapshotTotals,
    StoredTotals,
    Strategy,
    VerifyLevel,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupRequest(RunRequest):
    """Input of the backup workflow.

    source: a profile's name, or "@token" of a private request file. host: recorded in the snapshot; empty means the
    worker's. parent: a snapshot id or prefix that overrides the strategy's choice.
    """

    source: str
    strategy: Strategy = Strategy.AUTO
    host: str = ""
    tags: tuple[str, ...] = ()
    parent: str = ""
    verify: VerifyLevel = VerifyLevel.STRUCTURE
    progress: "BackupProgress | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupProgress(RunProgress):
    """A backup carries this over continue-as-new.

    started_ns: its snapshot gets it. begun_ns: when this workflow began; later than started_ns when it resumes a run.
    shards_waiting: planned and not begun, see workflows/both_ends.py. hooks_begun, hooks_over: of the source's hooks,
    those before and those after; hooks: how they ended.
    """

    begun_ns: int = 0
    generation: int = 0
    opened: "BackupOpened | None" = None
    shards_waiting: tuple[tuple[int, int], ...] = ()
    selected: SelectionTotals = field(default_factory=SelectionTotals)
    stored: StoredTotals = field(default_factory=StoredTotals)
    hooks_begun: bool = False
    hooks_over: bool = False
    hooks: tuple[HookDone, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerInput:
    """Opens the run. started_ns comes from the workflow's clock, so that a retry gives the same snapshot time."""

    run: RunRef
    request: BackupRequest
    started_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupOpened(RunOpened):
    """The run is open. strategy and its reason as decided; parent is 64 hex digits or empty.

    finished_snapshot: set when an earlier attempt of this very run already wrote its snapshot. started_ns: as decided
    when the run was opened first; 0 means the one that was asked for. before, after: the source's hooks.
    """

    strategy: Strategy
    reason: str
    parent: str = ""
    host: str = ""
    resumed: bool = False
    finished_snapshot: str = ""
    started_ns: int = 0
    before: tuple[HookRef, ...] = ()
    after: tuple[HookRef, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSelected(PagePlanned):
    """One page of the walk is planned."""

    totals: SelectionTotals


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitInput(PlanInput):
    """Asks for the snapshot."""

    request: BackupRequest
    opened: BackupOpened
    started_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """The snapshot is written; or, where missing_shards or rescan is set, work must be redone first.

    missing_shards: their blobs are gone from the index; store them again and commit again.
    rescan: blobs that the parent's unchanged files rely on are gone; select again in a new generation.
    """

    snapshot_id: str = ""
    status: RunStatus = RunStatus.COMPLETE
    totals: SnapshotTotals = field(default_factory=SnapshotTotals)
    missing_shards: tuple[int, ...] = ()
    rescan: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LogInput:
    """Asks for the journal's record of the run as it stands (also of one that failed or was cancelled)."""

    run: RunRef
    request: BackupRequest
    progress: BackupProgress
    ending: Ending
    committed: Committed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupResult(Warranted):
    """Output of the backup workflow. run_id: of this attempt. began: of the run that it went on with, else empty."""

    run_id: str
    status: RunStatus
    began: str = ""
    snapshot_id: str = ""
    parent: str = ""
    strategy: Strategy = Strategy.FULL
    reason: str = ""
    started_ns: int = 0
    ended_ns: int = 0
    selected: SelectionTotals = field(default_factory=SelectionTotals)
    stored: StoredTotals = field(default_factory=StoredTotals)
    totals: SnapshotTotals = field(default_factory=SnapshotTotals)
    verdict: Verdict | None = None
    hooks: tuple[HookDone, ...] = ()

    @property
    def is_dry(self) -> bool:
        """Whether it says what a backup would do: one that ended well has a snapshot."""
        return self.status in (RunStatus.COMPLETE, RunStatus.PARTIAL) and not self.snapshot_id
