"""What reading one file has in common, whether it is small or large: identity, retries, warnings."""

import os
from dataclasses import dataclass
from typing import Final

from holdfast.backup.documents import Failed, Stored
from holdfast.source.metadata import IncompleteNodeError
from holdfast.source.trouble import explain

MAX_READINGS: Final = 3
CHANGED_WARNING: Final = "changed while it was read, three times; stored as last read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What must not change while a file is read, or between two attempts at it."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, stat: os.stat_result) -> "Identity":
        return cls(size=stat.st_size, mtime_ns=stat.st_mtime_ns, ctime_ns=stat.st_ctime_ns, inode=stat.st_ino)

    def as_tuple(self) -> tuple[int, int, int, int]:
        return (self.size, self.mtime_ns, self.ctime_ns, self.inode)


def is_same(before: os.stat_result, after: os.stat_result) -> bool:
    """Whether a file has the same identity still; without making two of them, for the sake of small files."""
    return (
        before.st_mtime_ns == after.st_mtime_ns
        and before.st_ctime_ns == after.st_ctime_ns
        and before.st_size == after.st_size
        and before.st_ino == after.st_ino
    )


def failed(error: OSError) -> Failed:
    """The outcome for a file that cannot be read, in the system's words; its path stands beside it in the plan.

    Raises:
        TemporaryError: this process lacks descriptors or memory, which says nothing about the file.
    """
    return Failed(explain(error))


def incomplete(error: IncompleteNodeError) -> Stored:
    """The outcome for a file whose content is stored, and some of its attributes are not."""
    return Stored(error.node, error.node.size, error.message, lost=True)
