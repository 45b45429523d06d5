"""Messages of a watched source: changes come in as updates, a backup is asked for once a condition holds."""

from dataclasses import dataclass, field, replace
from typing import Final

from holdfast.contracts.backup import BackupRequest
from holdfast.contracts.warrant import Warranted

SOURCE_WATCH_WORKFLOW: Final = "SourceWatch"
CHANGES_UPDATE: Final = "changes"
WATCH_QUERY: Final = "watch"
MAX_TEXT: Final = 200
_NS: Final = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchConditions:
    """When a backup is due. Of files, size_bytes and file_size_bytes any one suffices; with all at 0, any change does.

    quiet_s: and nothing has changed for so long. max_age_s: but no change waits longer than this. min_interval_s: and
    the backup before ended so long ago.
    """

    files: int = 0
    size_bytes: int = 0
    file_size_bytes: int = 0
    quiet_s: float = 30.0
    max_age_s: float = 3_600.0
    min_interval_s: float = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes(Warranted):
    """Input of the update: how many files changed, their sizes together, the largest; who says so. Never a name.

    evidence: a few words for the record, such as an event's id.
    """

    files: int = 1
    size_bytes: int = 0
    largest_bytes: int = 0
    by: str = ""
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingChanges:
    """The reports that have come in since the last backup began. Times in nanoseconds; 0 where there is none."""

    reports: int = 0
    files: int = 0
    size_bytes: int = 0
    largest_bytes: int = 0
    first_ns: int = 0
    last_ns: int = 0
    by: str = ""
    evidence: str = ""

    def plus(self, changes: Changes, now_ns: int) -> "PendingChanges":
        """With one more report."""
        return PendingChanges(
            reports=self.reports + 1,
            files=self.files + changes.files,
            size_bytes=self.size_bytes + changes.size_bytes,
            largest_bytes=max(self.largest_bytes, changes.largest_bytes),
            first_ns=self.first_ns or now_ns,
            last_ns=now_ns,
            by=changes.by or self.by,
            evidence=changes.evidence or self.evidence,
        )

    def and_before(self, before: "PendingChanges") -> "PendingChanges":
        """Together with what came in before and was not backed up after all."""
        return replace(
            self,
            reports=self.reports + before.reports,
            files=self.files + before.files,
            size_bytes=self.size_bytes + before.size_bytes,
            largest_bytes=max(self.largest_bytes, before.largest_bytes),
            first_ns=before.first_ns or self.first_ns,
            last_ns=self.last_ns or before.last_ns,
            by=self.by or before.by,
            evidence=self.evidence or before.evidence,
        )


def due_ns(conditions: WatchConditions, pending: PendingChanges, ended_ns: int) -> int | None:
    """The moment at which a backup is due if nothing more changes; None while nothing is pending.

    ended_ns: when the backup before ended, 0 for none.
    """
    if not pending.reports:
        return None
    counted = (conditions.files, conditions.size_bytes, conditions.file_size_bytes)
    reached = (pending.files, pending.size_bytes, pending.largest_bytes)
    enough = not any(counted) or any(has >= limit > 0 for has, limit in zip(reached, counted, strict=True))
    due = pending.first_ns + round(conditions.max_age_s * _NS)
    if enough:
        due = min(due, pending.last_ns + round(conditions.quiet_s * _NS))
    if ended_ns:
        due = max(due, ended_ns + round(conditions.min_interval_s * _NS))
    return due


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchState:
    """A watch carries this over continue-as-new."""

    pending: PendingChanges = field(default_factory=PendingChanges)
    ended_ns: int = 0
    failed: bool = False
    runs: int = 0
    reports: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOrder(Warranted):
    """Input of the workflow. workflow_id: of the backup, the same that a person's command would use."""

    request: BackupRequest
    workflow_id: str
    conditions: WatchConditions = field(default_factory=WatchConditions)
    state: WatchState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchStatus(Warranted):
    """Answer of the update and of the query.

    due_in_s: None while nothing is pending. pending_since_ns: when the first of what is pending came in, 0 for none; it
    tells whether a backup has taken over what was reported before.
    """

    pending_files: int
    pending_bytes: int
    runs: int
    reports: int
    running: bool = False
    due_in_s: float | None = None
    pending_since_ns: int = 0
