"""Where a restore may delete: in directories that the snapshot covers, on the file system where the restore began.

Follows the finish through the tree. A directory whose parent only leads to it *begins* something: what is on another
mount than the innermost beginning around it, now or when it was backed up, is not touched. See ADR 0036.
"""

from dataclasses import dataclass

from holdfast.format.coverage import Gap, gaps_of
from holdfast.restore.documents import Coverage, Enter, Leads
from holdfast.safe_fs.directories import Directory
from holdfast.safe_fs.mounts import Mount, mount_of


@dataclass(frozen=True, slots=True)
class _Level:
    """One open directory. base: the mount of the beginning around it; None above the source's roots."""

    leads: Leads | None
    base: Mount | None
    is_elsewhere: bool = False
    may_delete: bool = False


class Covered:
    """The stack of directories that the finish is inside of. root: None where it is not there (a dry run)."""

    def __init__(self, coverage: Coverage, leads: Leads | None, root: Directory | None) -> None:
        self._coverage = coverage
        gaps = frozenset(coverage.gaps)
        self._levels = [self._level(None, leads, gaps, root)]

    @property
    def may_delete(self) -> bool:
        """Whether the innermost directory is covered, and where the restore began."""
        return self._coverage.vouched and self._levels[-1].may_delete

    def enter(self, record: Enter, directory: Directory | None) -> None:
        """The finish goes into a directory; None: it is not on disk, so nothing is to be deleted there."""
        level = self._level(self._levels[-1], record.leads, gaps_of(record.node.error), directory)
        self._levels.append(level)

    def leave(self) -> None:
        """The innermost directory ends."""
        self._levels.pop()

    @staticmethod
    def _level(
        above: _Level | None, leads: Leads | None, gaps: frozenset[Gap], directory: Directory | None
    ) -> _Level:
        if directory is None or leads is Leads.TO_SOURCE:
            return _Level(leads, None)
        here = mount_of(directory.fd)
        begins = above is None or above.base is None or (above.leads is not None and leads is None)
        if begins or above is None:
            return _Level(leads, here, may_delete=gaps <= {Gap.MOUNT})
        is_elsewhere = above.is_elsewhere or Gap.MOUNT in gaps or here != above.base
        return _Level(leads, above.base, is_elsewhere, may_delete=not gaps and not is_elsewhere)
