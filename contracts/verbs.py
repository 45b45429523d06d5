"""Registers the verbs: each kind of run with its workflow, what that is asked and answers, and what it is about.

A new verb has one entry here; what lists, starts, follows and steers runs asks this module (docs/contributing.md).

The messages of a verb are named, and loaded where they are needed: each costs every command some 10 ms (ADR 0044).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final, NamedTuple, TypeGuard, cast

from holdfast.contracts.common import BACKUP_WORKFLOW, RESTORE_WORKFLOW
from holdfast.terms import RunKind

if TYPE_CHECKING:
    from holdfast.contracts.backup import BackupRequest, BackupResult
    from holdfast.contracts.drill import DrillRequest, DrillResult
    from holdfast.contracts.forget import ForgetRequest, ForgetResult
    from holdfast.contracts.guard import GuardRequest, GuardResult
    from holdfast.contracts.prune import PruneRequest, PruneResult
    from holdfast.contracts.repair import RepairRequest, RepairResult
    from holdfast.contracts.restore import RestoreRequest, RestoreResult
    from holdfast.contracts.system import SystemBackupRequest, SystemRestoreRequest, SystemResult
    from holdfast.contracts.verify import VerifyRequest, VerifyResult

    Resumable = BackupRequest | RestoreRequest | VerifyRequest | RepairRequest | PruneRequest
    """What a run may be asked that a later one can go on with."""
    Request = (
        Resumable | DrillRequest | ForgetRequest | GuardRequest | SystemBackupRequest | SystemRestoreRequest
    )
    Result = (
        BackupResult
        | RestoreResult
        | VerifyResult
        | DrillResult
        | ForgetResult
        | PruneResult
        | RepairResult
        | SystemResult
    )
    """How the runs end that report."""
else:
    Resumable = Request = Result = object


VERIFY_WORKFLOW: Final = "Verify"
REPAIR_WORKFLOW: Final = "Repair"
DRILL_WORKFLOW: Final = "Drill"
FORGET_WORKFLOW: Final = "Forget"
PRUNE_WORKFLOW: Final = "Prune"
GUARD_WORKFLOW: Final = "Guard"
SYSTEM_BACKUP_WORKFLOW: Final = "SystemBackup"
SYSTEM_RESTORE_WORKFLOW: Final = "SystemRestore"


class Verb(NamedTuple):
    """One verb. messages: the module with what its runs are asked and answer, and the names of these two.

    subject: what its runs are about, of which one at a time has a run; the word for people. about: the fields of a
    request that say it, the first that is not empty. required: fields that must not be empty. resumable: an interrupted
    run can be gone on with. steered: its runs can be paused, throttled and the like (contracts/control.py); others can
    only be cancelled. reports: its runs tell their progress, and are listed with the others.
    """

    kind: RunKind
    workflow: str
    messages: str
    asks: str
    answers: str
    subject: str
    about: tuple[str, ...] = ()
    required: tuple[str, ...] = ("repository",)
    resumable: bool = False
    steered: bool = True
    reports: bool = True

    @property
    def request(self) -> "type[Request]":
        """What its runs are asked."""
        return cast("type[Request]", getattr(import_module(self.messages), self.asks))

    @property
    def result(self) -> "type[Result | GuardResult]":
        """What its runs answer."""
        return cast("type[Result | GuardResult]", getattr(import_module(self.messages), self.answers))


VERBS: Final = (
    Verb(
        kind=RunKind.BACKUP,
        workflow=BACKUP_WORKFLOW,
        messages="holdfast.contracts.backup",
        asks="BackupRequest",
        answers="BackupResult",
        subject="source",
        about=("source",),
        required=("repository", "source"),
        resumable=True,
    ),
    Verb(
        kind=RunKind.RESTORE,
        workflow=RESTORE_WORKFLOW,
        messages="holdfast.contracts.restore",
        asks="RestoreRequest",
        answers="RestoreResult",
        subject="selection",
        about=("selection",),
        required=("repository", "selection"),
        resumable=True,
    ),
    Verb(
        kind=RunKind.VERIFY,
        workflow=VERIFY_WORKFLOW,
        messages="holdfast.contracts.verify",
        asks="VerifyRequest",
        answers="VerifyResult",
        subject="repository",
        about=("selection",),
        resumable=True,
    ),
    Verb(
        kind=RunKind.REPAIR,
        workflow=REPAIR_WORKFLOW,
        messages="holdfast.contracts.repair",
        asks="RepairRequest",
        answers="RepairResult",
        subject="repository",
        about=("selection",),
        required=("repository", "selection"),
        resumable=True,
    ),
    Verb(
        kind=RunKind.DRILL,
        workflow=DRILL_WORKFLOW,
        messages="holdfast.contracts.drill",
        asks="DrillRequest",
        answers="DrillResult",
        subject="drill",
        about=("drill", "source"),
        steered=False,
    ),
    Verb(
        kind=RunKind.FORGET,
        workflow=FORGET_WORKFLOW,
        messages="holdfast.contracts.forget",
        asks="ForgetRequest",
        answers="ForgetResult",
        subject="repository",
        about=("selection", "source"),
        steered=False,
    ),
    Verb(
        kind=RunKind.PRUNE,
        workflow=PRUNE_WORKFLOW,
        messages="holdfast.contracts.prune",
        asks="PruneRequest",
        answers="PruneResult",
        subject="repository",
        resumable=True,
    ),
    Verb(
        kind=RunKind.SYSTEM_BACKUP,
        workflow=SYSTEM_BACKUP_WORKFLOW,
        messages="holdfast.contracts.system",
        asks="SystemBackupRequest",
        answers="SystemResult",
        subject="system",
        about=("system",),
        required=("system",),
    ),
    Verb(
        kind=RunKind.SYSTEM_RESTORE,
        workflow=SYSTEM_RESTORE_WORKFLOW,
        messages="holdfast.contracts.system",
        asks="SystemRestoreRequest",
        answers="SystemResult",
        subject="system",
        about=("system",),
        required=("system",),
    ),
    Verb(
        kind=RunKind.GUARD,
        workflow=GUARD_WORKFLOW,
        messages="holdfast.contracts.guard",
        asks="GuardRequest",
        answers="GuardResult",
        subject="source",
        about=("source",),
        required=("repository", "source"),
        steered=False,
        reports=False,
    ),
)
_BY_KIND: Final = {verb.kind: verb for verb in VERBS}
_BY_REQUEST: Final = {verb.asks: verb for verb in VERBS}


def verb_of(kind: RunKind) -> Verb:
    """The verb that a kind of run is of: a dry run is a restore."""
    return _BY_KIND[RunKind.RESTORE if kind is RunKind.DRY_RUN else kind]


def asked_by(request: Request) -> Verb:
    """The verb whose run is asked for."""
    return _BY_REQUEST[type(request).__name__]


def is_resumable(request: object) -> TypeGuard[Resumable]:
    """Whether a later run can go on with what this asks for."""
    verb = _BY_REQUEST.get(type(request).__name__)
    return verb is not None and verb.resumable


def repository_of(request: Request) -> str:
    """The repository of a run, as it is asked; empty for a system, whose members have their own."""
    return getattr(request, "repository", "")


def subject_of(request: Request) -> str:
    """What a run is about, as its record says; empty for a verification or a prune of everything."""
    return next(filter(None, (getattr(request, name) for name in asked_by(request).about)), "")
