"""Messages of the guard: a source is compared with its newest snapshot; what is lost may be restored."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from holdfast.contracts.common import Ending, RunPolicy, RunRef, Trigger
from holdfast.contracts.warrant import Warranted
from holdfast.terms import RunStatus

APPROVE_UPDATE: Final = "approve"
GUARD_QUERY: Final = "guard"
COMPARE_ACTIVITY: Final = "guard_compare"
LOG_GUARD_ACTIVITY: Final = "guard_log"
MAX_NAME: Final = 100
MAX_REASON: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardRequest(Warranted):
    """Input of the workflow. The policy is the source's, in the worker's settings.

    order: "@token" of the private request file that asks for another policy; empty for none.
    """

    repository: str
    source: str
    trigger: Trigger = field(default_factory=Trigger)
    order: str = ""
    policy: RunPolicy = field(default_factory=RunPolicy)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareInput:
    """Asks for the comparison."""

    run: RunRef
    request: GuardRequest
    started_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardFound:
    """The findings of the comparison: counts and tokens. Paths stay on the worker, in private request files.

    alarm: why the source as a whole looks wrong, empty if it does not. missing_selection, damaged_selection: tokens of
    restores that bring back what is missing, and what was damaged or turned into noise; empty for none.
    on_missing, on_damaged, approval_s: the policy that holds. ahead: the first digits of snapshots that are dated
    in the future.
    """

    snapshot_id: str
    files: int = 0
    new: int = 0
    changed: int = 0
    missing: int = 0
    missing_bytes: int = 0
    damaged: int = 0
    noise: int = 0
    unreadable: int = 0
    files_read: int = 0
    alarm: str = ""
    missing_selection: str = ""
    damaged_selection: str = ""
    on_missing: str = "report"
    on_damaged: str = "ask"
    approval_s: float = 604_800.0
    ahead: tuple[str, ...] = ()


class Part(StrEnum):
    """The part of the findings that an approval is about."""

    MISSING = "missing"
    DAMAGED = "damaged"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval(Warranted):
    """Input of the update: who decides, and why. grant: False refuses the restore."""

    by: str
    reason: str
    part: Part = Part.ALL
    grant: bool = True

    @property
    def wrong(self) -> str:
        """What its words lack, for people; empty when they are as they should be."""
        if not self.by.strip() or len(self.by) > MAX_NAME:
            return f"an approval needs a name of at most {MAX_NAME} characters"
        if not self.reason.strip() or len(self.reason) > MAX_REASON:
            return f"an approval needs a reason of at most {MAX_REASON} characters"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardStatus(Warranted):
    """Answer of the update and of the query. waiting: the parts that wait for approval, until expires_ns."""

    run_id: str
    found: GuardFound | None = None
    waiting: tuple[str, ...] = ()
    expires_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The outcome of one part. outcome: reported, restored, failed, refused or expired; by: who decided."""

    part: Part
    outcome: str
    by: str = ""
    reason: str = ""
    restore_run: str = ""
    files_written: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardLogInput:
    """Asks for the journal's record of how it ended."""

    run: RunRef
    request: GuardRequest
    found: GuardFound
    started_ns: int
    ending: Ending
    decisions: tuple[Decision, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardResult(Warranted):
    """Output of the workflow. status: complete when nothing is left wrong, else partial."""

    run_id: str
    status: RunStatus
    found: GuardFound
    decisions: tuple[Decision, ...] = ()
