"""Registers the verbs: each kind of run with its workflow, what that is asked and answers, and what it is about.

A new verb has one entry here; what lists, starts, follows and steers runs asks this module (docs/contributing.md).
"""

from typing import Final, NamedTuple

from contracts.backup import BackupRequest, BackupResult
from contracts.common import BACKUP_WORKFLOW, RESTORE_WORKFLOW
from contracts.drill import DRILL_WORKFLOW, DrillRequest, DrillResult
from contracts.forget import FORGET_WORKFLOW, ForgetRequest, ForgetResult
from contracts.guard import GUARD_WORKFLOW, GuardRequest, GuardResult
from contracts.prune import PRUNE_WORKFLOW, PruneRequest, PruneResult
from contracts.repair import REPAIR_WORKFLOW, RepairRequest, RepairResult
from contracts.restore import RestoreRequest, RestoreResult
from contracts.system import (
    SYSTEM_BACKUP_WORKFLOW,
    SYSTEM_RESTORE_WORKFLOW,
    SystemBackupRequest,
    SystemRestoreRequest,
    SystemResult,
)
from contracts.verify import VERIFY_WORKFLOW, VerifyRequest, VerifyResult
from holdfast.terms import RunKind

Resumable = BackupRequest | RestoreRequest | VerifyRequest | RepairRequest | PruneRequest
"""What a run may be asked that a later one can go on with."""
Request = Resumable | DrillRequest | ForgetRequest | GuardRequest | SystemBackupRequest | SystemRestoreRequest
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


class Verb(NamedTuple):
    """One verb. subject: what its runs are about, of which one at a time has a run; the word for people.

    required: fields of a request that must not be empty. resumable: what its runs are asked, where an interrupted one
    can be gone on with. steered: its runs can be paused, throttled and the like (contracts/control.py); others can
    only be cancelled. reports: its runs tell their progress, and are listed with the others.
    """

    kind: RunKind
    workflow: str
    request: type[Request]
    result: type[Result | GuardResult]
    subject: str
    required: tuple[str, ...] = ("repository",)
    resumable: type[Resumable] | None = None
    steered: bool = True
    reports: bool = True


VERBS: Final = (
    Verb(
        kind=RunKind.BACKUP,
        workflow=BACKUP_WORKFLOW,
        request=BackupRequest,
        result=BackupResult,
        subject="source",
        required=("repository", "source"),
        resumable=BackupRequest,
    ),
    Verb(
        kind=RunKind.RESTORE,
        workflow=RESTORE_WORKFLOW,
        request=RestoreRequest,
        result=RestoreResult,
        subject="selection",
        required=("repository", "selection"),
        resumable=RestoreRequest,
    ),
    Verb(
        kind=RunKind.VERIFY,
        workflow=VERIFY_WORKFLOW,
        request=VerifyRequest,
        result=VerifyResult,
        subject="repository",
        resumable=VerifyRequest,
    ),
    Verb(
        kind=RunKind.REPAIR,
        workflow=REPAIR_WORKFLOW,
        request=RepairRequest,
        result=RepairResult,
        subject="repository",
        required=("repository", "selection"),
        resumable=RepairRequest,
    ),
    Verb(
        kind=RunKind.DRILL,
        workflow=DRILL_WORKFLOW,
        request=DrillRequest,
        result=DrillResult,
        subject="drill",
        steered=False,
    ),
    Verb(
        kind=RunKind.FORGET,
        workflow=FORGET_WORKFLOW,
        request=ForgetRequest,
        result=ForgetResult,
        subject="repository",
        steered=False,
    ),
    Verb(
        kind=RunKind.PRUNE,
        workflow=PRUNE_WORKFLOW,
        request=PruneRequest,
        result=PruneResult,
        subject="repository",
        resumable=PruneRequest,
    ),
    Verb(
        kind=RunKind.SYSTEM_BACKUP,
        workflow=SYSTEM_BACKUP_WORKFLOW,
        request=SystemBackupRequest,
        result=SystemResult,
        subject="system",
        required=("system",),
    ),
    Verb(
        kind=RunKind.SYSTEM_RESTORE,
        workflow=SYSTEM_RESTORE_WORKFLOW,
        request=SystemRestoreRequest,
        result=SystemResult,
        subject="system",
        required=("system",),
    ),
    Verb(
        kind=RunKind.GUARD,
        workflow=GUARD_WORKFLOW,
        request=GuardRequest,
        result=GuardResult,
        subject="source",
        required=("repository", "source"),
        steered=False,
        reports=False,
    ),
)
_BY_KIND: Final = {verb.kind: verb for verb in VERBS}


def verb_of(kind: RunKind) -> Verb:
    """The verb that a kind of run is of: a dry run is a restore."""
    return _BY_KIND[RunKind.RESTORE if kind is RunKind.DRY_RUN else kind]


def asked_by(request: Request) -> Verb:
    """The verb whose run is asked for."""
    return next(verb for verb in VERBS if isinstance(request, verb.request))


def repository_of(request: Request) -> str:
    """The repository of a run, as it is asked; empty for a system, whose members have their own."""
    return "" if isinstance(request, SystemBackupRequest | SystemRestoreRequest) else request.repository


def subject_of(request: Request) -> str:
    """What a run is about, as its record says; empty for a verification of everything."""
    match request:
        case BackupRequest() | GuardRequest():
            return request.source
        case RestoreRequest() | VerifyRequest() | RepairRequest():
            return request.selection
        case DrillRequest():
            return request.drill or request.source
        case ForgetRequest():
            return request.selection or request.source
        case PruneRequest():
            return ""
        case SystemBackupRequest() | SystemRestoreRequest():
            return request.system
