"""The files of a restore for the journal, and the list of actions of a dry run."""

from collections.abc import Iterator
from enum import StrEnum

import msgspec

from holdfast.restore.run import RestoreRun


class RestoreAction(StrEnum):
    """What became of a path, or would in a dry run."""

    RESTORED = "restored"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    DELETED = "deleted"
    FAILED = "failed"
    WARNING = "warning"


class RestoreRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One path of a run. `path` is inside the target, beginning with "/"."""

    path: bytes
    action: RestoreAction
    size_bytes: int = 0
    message: str = ""


def file_records(run: RestoreRun, pages: int, shards: int) -> Iterator[RestoreRecord]:
    """Every file of the run with what became of it, in no promised order; bounded memory."""
    raise NotImplementedError


def error_count(run: RestoreRun, pages: int, shards: int) -> int:
    """How many paths failed in the run so far."""
    raise NotImplementedError
