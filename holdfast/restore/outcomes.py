"""How the letters of shard results are called in the journal."""

from collections.abc import Mapping
from typing import Final

from holdfast.file_list import FileAction
from holdfast.restore.documents import Outcome

ACTIONS: Final[Mapping[bytes, FileAction]] = {
    Outcome.RESTORED: FileAction.RESTORED,
    Outcome.UPDATED: FileAction.UPDATED,
    Outcome.UNCHANGED: FileAction.UNCHANGED,
    Outcome.SKIPPED: FileAction.SKIPPED,
    Outcome.FAILED: FileAction.FAILED,
}
EXPECTED: Final[Mapping[str, FileAction]] = {
    "new": FileAction.RESTORED,
    "update": FileAction.UPDATED,
    "same": FileAction.UNCHANGED,
}
"""What a dry run says about a file, as its metadata tells."""
