"""The terms that engine, contracts and service share, one type each; contracts may import this module of the engine.

Their values stand in snapshots' tags, in the journal, in settings and in messages: a value that was written once stays.
"""

from enum import StrEnum
from typing import Final

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
    SYSTEM_BACKUP = "system-backup"
    SYSTEM_RESTORE = "system-restore"


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


class Overwrite(StrEnum):
    """What a restore does to a file that exists already.

    always: it is compared by content, and what differs is replaced. if-changed: the same, but equal size and mtime
    count as equal content. if-newer: replaced when the snapshot's is newer. never: left alone.
    """

    ALWAYS = "always"
    IF_CHANGED = "if-changed"
    IF_NEWER = "if-newer"
    NEVER = "never"
