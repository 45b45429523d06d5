"""Messages of a prune: one dataclass into and one out of the workflow and of each of its activities."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from holdfast.contracts.common import Ending, RunRef, Verdict
from holdfast.contracts.guard import Approval
from holdfast.contracts.runs import PagePlanned, RunOpened, RunProgress, RunRequest
from holdfast.contracts.warrant import Warranted
from holdfast.terms import RunStatus, Totals

APPROVAL_QUERY: Final = "approval"
DRY_RUN: Final = "dry-run"
"""The strategy that the record of a prune has which only planned."""


class PruneStage(StrEnum):
    """The parts that go on in shards (docs/retention.md)."""

    MARK = "mark"
    REPACK = "repack"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneRequest(RunRequest):
    """Input of the prune workflow.

    max_unused: how much unused data may stay; empty for what the worker's settings say. max_repack_bytes: the most that
    is copied; None likewise. unused_only: packs go of which nothing is used, and nothing is copied: for a disk that is
    full. dry_run: plan, and no more.
    """

    max_unused: str = ""
    max_repack_bytes: int | None = None
    unused_only: bool = False
    dry_run: bool = False
    progress: "PruneProgress | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneTotals(Totals):
    """Counts of what was done so far; bytes are those of files in the repository.

    trees: that were walked. blobs: copied out of packs that go; damaged_blobs: could not be read, so their packs stay.
    deleted_packs: are gone; spared_packs: an index names them again; left_packs: are still there although they were
    removed.
    """

    trees: int = 0
    blobs: int = 0
    bytes_read: int = 0
    packs_written: int = 0
    bytes_written: int = 0
    damaged_blobs: int = 0
    deleted_packs: int = 0
    bytes_deleted: int = 0
    spared_packs: int = 0
    left_packs: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneProgress(RunProgress):
    """A prune carries this over continue-as-new; pages and shards are those of the stage. approved: by whom and why.

    waiting_ns: since when it waits for the exclusive lock; 0 before. stayed: see `LockWait`; asked_ns: when runs were
    last asked to stand aside. marked: no moment came, so packs are marked.
    """

    stage: PruneStage = PruneStage.MARK
    opened: "PruneOpened | None" = None
    plan: "PrunePlanned | None" = None
    approved: Approval | None = None
    waiting_ns: int = 0
    asked_ns: int = 0
    stayed: tuple[str, ...] = ()
    marked: bool = False
    switched: "Switched | None" = None
    totals: PruneTotals = field(default_factory=PruneTotals)


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneTriggerInput:
    """Opens the run."""

    run: RunRef
    request: PruneRequest
    started_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneOpened(RunOpened):
    """The run is open: so many snapshots are to be walked, in so many shards. approval_s, wait_s, keep_marked_s: the
    policy."""

    snapshots: int = 0
    shards: int = 0
    approval_s: float = 0.0
    wait_s: float = 0.0
    keep_marked_s: float = 82_800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunePlanned(PagePlanned):
    """The plan stands; its shards are those that repack. Bytes are those of files in the repository.

    packs, bytes_total: those that the index names. drop_*: packs that go as they are, nothing of them is used.
    unnamed_*: packs in no index. repack_*: packs that go once what is used of them (bytes_to_move) was copied.
    bytes_freed: by all of it. bytes_unused: that stay. requests: about how many. damaged_packs: with marks of damage,
    which stay. ask: why a person has to approve, in words; empty where nobody has to.
    """

    packs: int = 0
    bytes_total: int = 0
    drop_packs: int = 0
    drop_bytes: int = 0
    unnamed_packs: int = 0
    unnamed_bytes: int = 0
    repack_packs: int = 0
    repack_bytes: int = 0
    bytes_to_move: int = 0
    bytes_freed: int = 0
    bytes_unused: int = 0
    requests: int = 0
    damaged_packs: int = 0
    ask: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.drop_packs and not self.unnamed_packs and not self.repack_packs


@dataclass(frozen=True, slots=True, kw_only=True)
class LockWait:
    """Asks whether the exclusive lock may be tried for: not while another program holds a lock, nor one of `stayed`.

    stayed: processes of ours whose locks were there when all runs had been asked to stand aside. known: the holders
    that the caller knows of. The answer comes when the moment does, when others hold locks, or after within_s.
    """

    run: RunRef
    stayed: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    within_s: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LocksSeen:
    """The holders of the locks that are in the way, in words; none when there is a moment."""

    holders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Switched:
    """The short part is done: so many packs are to be deleted, in so many shards.

    taken_back: packs that the plan had let go, and that are used again. unnamed_*: packs in no index, which are gone.
    runs: that stood aside. stood_ms: from the first that was asked to the moment when all went on; locked_ms: of it,
    under the exclusive lock.
    """

    shards: int
    packs: int
    size_bytes: int
    taken_back: int = 0
    unnamed_packs: int = 0
    unnamed_bytes: int = 0
    runs: int = 0
    stood_ms: int = 0
    locked_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedSeen:
    """How the marked packs stand: they can be deleted, or these processes are waited for, or ready_ns is (the storage's
    time)."""

    switched: Switched | None = None
    standing: tuple[str, ...] = ()
    ready_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchTried:
    """The short part is done; or the lock was not to be had, and these hold it: in words, and processes of ours."""

    switched: Switched | None = None
    holders: tuple[str, ...] = ()
    stayed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneStatus(Warranted):
    """Answer of the approval and of its query. waiting: why a person has to approve, until expires_ns; else empty."""

    run_id: str
    waiting: str = ""
    expires_ns: int = 0
    plan: PrunePlanned | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneLogInput:
    """Asks for the journal's record of the run as it stands. decided: who approved the plan or did not, and why. close:
    and to remove its workspace then."""

    run: RunRef
    request: PruneRequest
    progress: PruneProgress
    ending: Ending
    decided: str = ""
    close: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneResult(Warranted):
    """Output of the prune workflow. refused: a person decided against it, or nobody did in time; in words."""

    run_id: str
    status: RunStatus
    began: str = ""
    started_ns: int = 0
    ended_ns: int = 0
    dry_run: bool = False
    refused: str = ""
    plan: PrunePlanned | None = None
    switched: Switched | None = None
    totals: PruneTotals = field(default_factory=PruneTotals)

    @property
    def verdict(self) -> Verdict | None:
        """Nothing is verified."""
        return None
