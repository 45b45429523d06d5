"""The messages of a repair are one dataclass into and one out of the workflow and of each of its activities."""

from dataclasses import dataclass, field
from typing import Final

from holdfast.contracts.common import Ending, RunRef, Verdict
from holdfast.contracts.runs import PagePlanned, RunOpened, RunProgress, RunRequest
from holdfast.contracts.warrant import Warranted
from holdfast.terms import RepairKind, RunStatus, Totals

TRIGGER_REPAIR: Final = "repair_trigger"
PLAN_REPAIR: Final = "repair_plan"
REPAIR_SHARD: Final = "repair_shard"
FINISH_REPAIR: Final = "repair_finish"
LOG_REPAIR: Final = "repair_log"


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairRequest(RunRequest):
    """Input of the repair workflow. selection: "@token" of the private request file that says what is repaired."""

    selection: str
    progress: "RepairProgress | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairTotals(Totals):
    """Counts of what was looked at so far. things: packs, or snapshots."""

    things: int = 0
    bytes_read: int = 0
    damaged: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairOpened(RunOpened):
    """The run is open. what: is repaired. dry_run: it only looks."""

    what: RepairKind
    dry_run: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairPlanned(PagePlanned):
    """The plan stands. things: packs or snapshots to look at; bytes_total: of whole packs that are read."""

    things: int
    bytes_total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairProgress(RunProgress):
    """A repair carries this over continue-as-new. Its plan has one page."""

    opened: "RepairOpened | None" = None
    plan: "RepairPlanned | None" = None
    totals: RepairTotals = field(default_factory=RepairTotals)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairTriggerInput:
    """Opens the run: checks repository and snapshots."""

    run: RunRef
    request: RepairRequest
    started_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairFinished:
    """What was done; of a dry run, what would be. Counts, as in the engine's report; paths are in the journal.

    first_repaired, first_new: ids of the first snapshots that were stored again, and of what replaces them.
    """

    packs_read: int = 0
    packs_added: int = 0
    packs_missing: int = 0
    packs_damaged: int = 0
    packs_removed: int = 0
    blobs_lost: int = 0
    index_files_removed: int = 0
    index_files_written: int = 0
    snapshots_repaired: int = 0
    snapshots_removed: int = 0
    snapshots_left: int = 0
    paths: int = 0
    first_repaired: tuple[str, ...] = ()
    first_new: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether all that was found could be mended; what is lost for good is no part of that."""
        return not (self.packs_damaged or self.snapshots_left)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairLogInput:
    """Asks for the journal's record of the run as it stands. close: and to remove its workspace then."""

    run: RunRef
    request: RepairRequest
    progress: RepairProgress
    ending: Ending
    finished: RepairFinished | None = None
    close: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairResult(Warranted):
    """Output of the repair workflow."""

    run_id: str
    status: RunStatus
    finished: RepairFinished | None = None
    started_ns: int = 0
    ended_ns: int = 0
    what: RepairKind | None = None
    dry_run: bool = False

    @property
    def verdict(self) -> Verdict | None:
        """There is none: a verification gives one."""
        return None
