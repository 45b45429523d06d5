"""The messages of a verification are one dataclass into and one out of the workflow and of each of its activities."""

from dataclasses import dataclass, field
from typing import Final

from holdfast.contracts.common import Ending, RunRef, Verdict
from holdfast.contracts.runs import PagePlanned, RunOpened, RunProgress, RunRequest
from holdfast.contracts.warrant import Warranted
from holdfast.terms import RunStatus, Totals

DAMAGE_FOUND: Final = "DamageFound"
"""The failure_kind of a verification that took all its steps, and found what no backup should have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyRequest(RunRequest):
    """Input of the verify workflow.

    selection: "@token" of the private request file that names snapshots; empty for the whole repository. share: how
    much of the packs is read back: "none", "all", "5%", "10GiB", "2/7" (the second of seven parts), "day/7" (the part
    whose turn it is today).
    """

    selection: str = ""
    share: str = "all"
    progress: "VerifyProgress | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyTotals(Totals):
    """Counts of what was read back so far."""

    packs: int = 0
    blobs: int = 0
    bytes_read: int = 0
    damaged_packs: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyProgress(RunProgress):
    """A verification carries this over continue-as-new. Its plan has one page."""

    opened: "VerifyOpened | None" = None
    trees: "TreesChecked | None" = None
    plan: "VerifyPlanned | None" = None
    totals: VerifyTotals = field(default_factory=VerifyTotals)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyTriggerInput:
    """Opens the run: checks repository, share and snapshots."""

    run: RunRef
    request: VerifyRequest
    started_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyOpened(RunOpened):
    """The run is open. snapshots: the ids that were meant; none for the whole repository. ahead: the first digits
    of snapshots that are dated in the future, and latest those of the one that was taken for the latest, if there are
    such.
    """

    snapshots: tuple[str, ...] = ()
    latest: str = ""
    ahead: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TreesChecked:
    """The trees were walked."""

    blobs: int
    files: int
    problems: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyPlanInput:
    """Asks for the plan: which packs, in which shards. started_ns says which day it is; window, how many shards are
    read at once.
    """

    run: RunRef
    share: str
    started_ns: int
    window: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyPlanned(PagePlanned):
    """The plan stands."""

    packs: int
    bytes_total: int
    packs_of_repository: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyFinished:
    """The last word. Names are in the journal; here are counts, and the ids of the first affected snapshots."""

    verdict: Verdict
    damaged_packs: int = 0
    damaged_blobs: int = 0
    mended_packs: int = 0
    lost_paths: int = 0
    affected_snapshots: int = 0
    first_affected: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyLogInput:
    """Asks for the journal's record of the run as it stands. close: and to remove its workspace then."""

    run: RunRef
    request: VerifyRequest
    progress: VerifyProgress
    ending: Ending
    finished: VerifyFinished | None = None
    close: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyResult(Warranted):
    """Output of the verify workflow. status: whether it ran to its end; `verdict`: what it found, if it did.

    latest, ahead: as in VerifyOpened.
    """

    run_id: str
    status: RunStatus
    finished: VerifyFinished | None = None
    started_ns: int = 0
    ended_ns: int = 0
    share: str = "all"
    packs_of_repository: int = 0
    latest: str = ""
    ahead: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict | None:
        """The verdict, once there is one."""
        return None if self.finished is None else self.finished.verdict
