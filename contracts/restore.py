"""Messages of a restore: one dataclass into and one out of the workflow and of each of its activities."""

from dataclasses import dataclass, field

from contracts.common import RunPolicy, RunRef, Trigger, Verdict
from contracts.control import ControlState, Throttle
from contracts.warrant import Warranted
from holdfast.terms import RunStatus, VerifyLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRequest(Warranted):
    """Input of the restore workflow.

    repository: a profile's name, or "@token". selection: "@token" of the private request file that says what is
    restored (snapshot, subfolder, patterns, list of paths) and how (target, overwrite, delete, dry run).
    to_command: a source that is a command's output; its restore_command gets that, and nothing is written by us.
    """

    repository: str
    selection: str
    trigger: Trigger = field(default_factory=Trigger)
    verify: VerifyLevel = VerifyLevel.NONE
    policy: RunPolicy = field(default_factory=RunPolicy)
    resume_run: str = ""
    to_command: str = ""
    progress: "RestoreProgress | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreTotals:
    """Counts of a restore: what was selected, written, found equal (kept), left alone by the overwrite rule (skipped).

    Bytes are of file content. incomplete: paths that were restored, but not with all that belongs to them.
    """

    files: int = 0
    dirs: int = 0
    others: int = 0
    bytes_total: int = 0
    bytes_to_write: int = 0
    bytes_written: int = 0
    bytes_kept: int = 0
    files_written: int = 0
    files_kept: int = 0
    files_skipped: int = 0
    files_deleted: int = 0
    errors: int = 0
    incomplete: int = 0

    def plus(self, other: "RestoreTotals") -> "RestoreTotals":
        """The sum, field by field."""
        return RestoreTotals(
            **{name: getattr(self, name) + getattr(other, name) for name in RestoreTotals.__slots__}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreProgress:
    """What a restore carries over continue-as-new."""

    run_id: str
    started_ns: int
    opened: "RestoreOpened | None" = None
    pages_done: int = 0
    selection_complete: bool = False
    shards_planned: int = 0
    shards_started: int = 0
    shards_done: int = 0
    space_checked: bool = False
    totals: RestoreTotals = field(default_factory=RestoreTotals)
    control: ControlState = field(default_factory=ControlState)


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreTriggerInput:
    """Opens the run: checks repository, snapshot and target."""

    run: RunRef
    request: RestoreRequest
    started_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreOpened:
    """The run is open, for this snapshot (64 hex digits). tell: somebody wants to know how the run ends.

    has_room: the target has room for the whole snapshot, so writing may begin before the plan is whole. ahead:
    of snapshots that are dated in the future, where the latest one was asked for, the first digits.
    """

    snapshot_id: str
    dry_run: bool = False
    resumed: bool = False
    tell: bool = False
    has_room: bool = False
    ahead: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreSelectInput:
    """Asks for one page of the plan."""

    run: RunRef
    page: int
    first_shard: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorePage:
    """One page is planned: its shards are first_shard … first_shard + shards - 1."""

    page: int
    shards: int
    last: bool
    totals: RestoreTotals


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceInput:
    """Asks whether the target has room, once the plan is whole."""

    run: RunRef
    bytes_to_write: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreShardInput:
    """Asks for one shard."""

    run: RunRef
    shard: int
    throttle: Throttle = field(default_factory=Throttle)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardRestored:
    """One shard's files are whole under their final names (segments of large files: written)."""

    shard: int
    totals: RestoreTotals


@dataclass(frozen=True, slots=True, kw_only=True)
class ToCommandInput:
    """Asks that the output of a source's command be given back to its restore_command. snapshot_id: 64 hex digits."""

    run: RunRef
    source: str
    snapshot_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishInput:
    """Asks for hard links, special files, deletions and directory metadata, once all shards are done."""

    run: RunRef
    pages: int
    shards: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The tree stands."""

    status: RunStatus
    totals: RestoreTotals


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreLogInput:
    """Asks for the journal's record of the run as it stands."""

    run: RunRef
    request: RestoreRequest
    status: RunStatus
    started_ns: int
    ended_ns: int
    pages: int = 0
    shards: int = 0
    opened: RestoreOpened | None = None
    totals: RestoreTotals = field(default_factory=RestoreTotals)
    failure_kind: str = ""
    failure_message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreResult(Warranted):
    """Output of the restore workflow. run_id: of this attempt. began: of the run that it went on with, else empty."""

    run_id: str
    status: RunStatus
    began: str = ""
    snapshot_id: str = ""
    started_ns: int = 0
    ended_ns: int = 0
    totals: RestoreTotals = field(default_factory=RestoreTotals)
    verdict: Verdict | None = None
    ahead: tuple[str, ...] = ()
