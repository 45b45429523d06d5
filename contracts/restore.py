"""Messages of a restore: one dataclass into and one out of the workflow and of each of its activities."""

from dataclasses import dataclass, field

from holdfast.contracts.common import Ending, RunRef, Verdict
from holdfast.contracts.runs import PagePlanned, RunOpened, RunProgress, RunRequest
from holdfast.contracts.warrant import Warranted
from holdfast.terms import RestoreTotals, RunStatus, VerifyLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRequest(RunRequest):
    """Input of the restore workflow.

    selection: "@token" of the private request file that says what is
    restored (snapshot, subfolder, patterns, list of paths) and how (target, overwrite, delete, dry run).
    to_command: a source that is a command's output; its restore_command gets that, and nothing is written by us.
    """

    selection: str
    verify: VerifyLevel = VerifyLevel.NONE
    to_command: str = ""
    progress: "RestoreProgress | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreProgress(RunProgress):
    """A restore carries this over continue-as-new."""

    opened: "RestoreOpened | None" = None
    space_checked: bool = False
    totals: RestoreTotals = field(default_factory=RestoreTotals)


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreTriggerInput:
    """Opens the run: checks repository, snapshot and target."""

    run: RunRef
    request: RestoreRequest
    started_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreOpened(RunOpened):
    """The run is open, for this snapshot (64 hex digits).

    has_room: the target has room for the whole snapshot, so writing may begin before the plan is whole. ahead:
    of snapshots that are dated in the future, where the latest one was asked for, the first digits.
    """

    snapshot_id: str
    dry_run: bool = False
    resumed: bool = False
    has_room: bool = False
    ahead: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorePage(PagePlanned):
    """One page of the snapshot is planned."""

    totals: RestoreTotals


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceInput:
    """Asks whether the target has room, once the plan is whole."""

    run: RunRef
    bytes_to_write: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ToCommandInput:
    """Asks that the output of a source's command be given back to its restore_command. snapshot_id: 64 hex digits."""

    run: RunRef
    source: str
    snapshot_id: str


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
    progress: RestoreProgress
    ending: Ending


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreResult(Warranted):
    """Output of the restore workflow. run_id: of this attempt. began: of the run that it went on with, else empty.

    dry_run: nothing was written.
    """

    run_id: str
    status: RunStatus
    began: str = ""
    snapshot_id: str = ""
    started_ns: int = 0
    ended_ns: int = 0
    totals: RestoreTotals = field(default_factory=RestoreTotals)
    verdict: Verdict | None = None
    ahead: tuple[str, ...] = ()
    dry_run: bool = False
