"""What a removal must leave: what the rules of the backup leave out, and sockets, which no backup has.

The snapshot tells the rules, not which names they have met; so a name that came later is left as well.
"""

import os
import stat

from holdfast.restore.documents import Coverage
from holdfast.safe_fs.directories import join
from holdfast.safe_fs.remove import Keeps
from holdfast.source.filters import Filter
from holdfast.source.spec import FilterRules, SourceSpec

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class LeftOut:
    """The rules of a snapshot's backup, made ready for many questions."""

    def __init__(self, coverage: Coverage) -> None:
        filters = coverage.filters
        self._subfolder = coverage.subfolder
        self._has_markers = filters.exclude_caches or bool(filters.exclude_if_present)
        self._filter = Filter(
            SourceSpec(
                roots=tuple(map(os.fsencode, coverage.paths)),
                filters=FilterRules(
                    excludes=coverage.excludes,
                    iexcludes=filters.iexcludes,
                    exclude_if_present=filters.exclude_if_present,
                    exclude_caches=filters.exclude_caches,
                    exclude_larger_than_bytes=filters.exclude_larger_than_bytes,
                ),
            )
        )

    def below(self, directory: bytes) -> Keeps:
        """What stays of entries of this directory of the restored tree."""
        return lambda fd, path, status: self._has(fd, join(directory, path), status)

    def _has(self, parent: int, path: bytes, status: os.stat_result) -> bool:
        if stat.S_ISSOCK(status.st_mode) or self._filter.excludes_size(status):
            return True
        if self._filter.excludes(self._subfolder + b"/" + path):
            return True
        return stat.S_ISDIR(status.st_mode) and self.is_marked(parent, path.rpartition(b"/")[2])

    def is_marked(self, parent: int, name: bytes = b".") -> bool:
        """Whether a marker file, by now, has all else in a directory left out."""
        if not self._has_markers:
            return False
        try:
            directory = os.open(name, _FLAGS, dir_fd=parent)
        except OSError:
            return True  # where nobody can look, nobody can say that it is covered
        try:
            names = os.listdir(b"/proc/self/fd/%d" % directory)
            return bool(self._filter.marks(directory, names))
        except OSError:
            return True
        finally:
            os.close(directory)
