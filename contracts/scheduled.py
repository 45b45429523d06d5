"""Messages of a scheduled run: what a schedule starts, and how that went."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from holdfast.contracts.backup import BackupRequest
from holdfast.contracts.drill import DrillRequest
from holdfast.contracts.forget import ForgetRequest
from holdfast.contracts.guard import GuardRequest
from holdfast.contracts.prune import PruneRequest
from holdfast.contracts.restore import RestoreRequest
from holdfast.contracts.system import SystemBackupRequest
from holdfast.contracts.verbs import Request
from holdfast.contracts.verify import VerifyRequest
from holdfast.contracts.warrant import Warranted

SCHEDULED_RUN_WORKFLOW: Final = "ScheduledRun"


class Busy(StrEnum):
    """A schedule does one of these when a run of its subject is under way that it did not start itself.

    skip: let this time pass. wait: run after it. beside: run at once, under an id of its own.
    """

    SKIP = "skip"
    WAIT = "wait"
    BESIDE = "beside"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledRun(Warranted):
    """One time of a schedule. workflow_id: of the run that it asks for, the same that a person's command would use.

    Exactly one of backup, restore, verify, drill, guard, prune, system and forget is set.
    """

    schedule: str
    workflow_id: str
    busy: Busy = Busy.SKIP
    backup: BackupRequest | None = None
    restore: RestoreRequest | None = None
    verify: VerifyRequest | None = None
    drill: DrillRequest | None = None
    guard: GuardRequest | None = None
    prune: PruneRequest | None = None
    system: SystemBackupRequest | None = None
    forget: ForgetRequest | None = None

    @property
    def request(self) -> Request | None:
        """The one that is set."""
        asked = (
            self.backup,
            self.restore,
            self.verify,
            self.drill,
            self.guard,
            self.prune,
            self.system,
            self.forget,
        )
        return next((request for request in asked if request is not None), None)


class ScheduledOutcome(StrEnum):
    """Whether the time led to a run."""

    RAN = "ran"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledResult(Warranted):
    """Output of a scheduled run: the run has its own result, in its own history and in the journal."""

    outcome: ScheduledOutcome
    workflow_id: str
    reason: str = ""
