"""The terms and counts that engine, contracts and service share; contracts may import this module of the engine alone.

Values and names of fields stand in snapshots' tags, in the journal, in workspaces, settings and messages: what was
written once stays.
"""

from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Final, Self

LATEST: Final = "latest"
"""The word for the newest snapshot."""


class RunKind(StrEnum):
    """Which verb a run is of."""

    BACKUP = "backup"
    RESTORE = "restore"
    DRY_RUN = "dry-run"
    GUARD = "guard"
    VERIFY = "verify"
    DRILL = "drill"
    FORGET = "forget"
    PRUNE = "prune"
    SYSTEM_BACKUP = "system-backup"
    SYSTEM_RESTORE = "system-restore"
    REPAIR = "repair"


class RunStatus(StrEnum):
    """How a run stands, or how it ended."""

    RUNNING = "running"
    COMPLETE = "complete"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Strategy(StrEnum):
    """What a backup reads, and against which parent (docs/architecture.md, "Strategies")."""

    AUTO = "auto"
    FULL = "full"
    DIFFERENTIAL = "differential"
    INCREMENTAL = "incremental"


class VerifyLevel(StrEnum):
    """How much a verification reads.

    structure: every referenced blob is indexed, in a pack of the right size. written: packs (or files) of
    this run are read back, decrypted and hashed. full: everything the snapshot references.
    """

    NONE = "none"
    STRUCTURE = "structure"
    WRITTEN = "written"
    FULL = "full"


class RepairKind(StrEnum):
    """What a repair mends (docs/repair.md)."""

    INDEX = "index"
    PACKS = "packs"
    SNAPSHOTS = "snapshots"


class Overwrite(StrEnum):
    """What a restore does to a file that exists already.

    always: it is compared by content, and what differs is replaced. if-changed: the same, but equal size and mtime
    count as equal content. if-newer: replaced when the snapshot's is newer. never: left alone.
    """

    ALWAYS = "always"
    IF_CHANGED = "if-changed"
    IF_NEWER = "if-newer"
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Counts that add up."""

    def plus(self, other: Self) -> Self:
        """The sum, field by field."""
        return replace(
            self, **{one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionTotals(Totals):
    """Counts of a selection so far. Bytes are file sizes; holes of sparse files are not in bytes_to_read."""

    files_new: int = 0
    files_changed: int = 0
    files_unmodified: int = 0
    dirs_new: int = 0
    dirs_changed: int = 0
    dirs_unmodified: int = 0
    others: int = 0
    bytes_total: int = 0
    bytes_to_read: int = 0
    files_to_read: int = 0
    errors: int = 0
    warnings: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTotals(Totals):
    """Counts of what shards stored so far.

    bytes_read: read from the source, the second reading of a byte included. bytes_reread: read again because an
    attempt died after its last checkpoint. checkpoints_resumed: attempts that went on from a checkpoint.
    data_added: plaintext bytes of new blobs; data_added_packed: their size as stored.
    """

    files: int = 0
    bytes_read: int = 0
    bytes_reread: int = 0
    checkpoints: int = 0
    checkpoints_resumed: int = 0
    data_blobs: int = 0
    data_added: int = 0
    data_added_packed: int = 0
    errors: int = 0
    warnings: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotTotals(Totals):
    """Counts of a snapshot that was written. data_added, data_added_packed: by its trees; in a result, by all of it."""

    files: int = 0
    bytes_total: int = 0
    tree_blobs: int = 0
    data_added: int = 0
    data_added_packed: int = 0
    errors: int = 0

    def with_data(self, stored: StoredTotals) -> "SnapshotTotals":
        """With what the snapshot's data has added, beside its trees."""
        return replace(
            self,
            data_added=self.data_added + stored.data_added,
            data_added_packed=self.data_added_packed + stored.data_added_packed,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreTotals(Totals):
    """Counts of a restore: what was selected, written, found equal (kept), left alone by the overwrite rule (skipped).

    Bytes are of file content. bytes_to_write: what the target grows by as far as metadata tells, holes and what is
    there already left out. bytes_kept: content that was on disk and did not have to be fetched. files_kept: files that
    were there, equal in content; at most their attributes were corrected. files_skipped: paths that the overwrite rule
    protects, files or not. incomplete: paths that were restored, but not with all that belongs to them.
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
