"""Names a large file once all its segments are written."""

import os
from collections.abc import Mapping

from holdfast.errors import RunStateError
from holdfast.restore.documents import Large, Outcome
from holdfast.restore.node_attributes import attributes_of
from holdfast.restore.run import RestoreRun
from holdfast.restore.shard.large_file import is_that_file, open_standing, standing_large
from holdfast.restore.target import look
from holdfast.safe_fs.attributes import apply_to_descriptor, differences, read_xattrs
from holdfast.safe_fs.directories import Directories
from holdfast.safe_fs.sparse import copy_range
from holdfast.safe_fs.temporary import discard, open_existing


class LargeFiles:
    """Completes large files in the finish. `replace` names a temporary file (see finish.py)."""

    def __init__(self, run: RestoreRun, directories: Directories, outcomes: Mapping[int, bytes]) -> None:
        """outcomes: of the shards of one file each, as every segment is."""
        self._outcomes = outcomes
        self._run = run
        self._directories = directories

    def outcome(self, large: Large) -> bytes:
        """What becomes of the file, as its segments tell: the worst of them decides."""
        letters = [
            self._outcomes[shard] for shard in range(large.first_shard, large.first_shard + large.segments)
        ]
        for letter in (Outcome.FAILED, Outcome.SKIPPED, Outcome.SEGMENT_WRITTEN):
            if letter in letters:
                return letter
        return Outcome.SEGMENT_MATCHES

    def keep(self, directory: bytes, large: Large) -> tuple[bytes, list[str]]:
        """All segments match what is there: correct its attributes; the outcome and warnings.

        Raises:
            OSError: it is not there any more.
        """
        fd = open_existing(self._directories.open(directory).fd, large.node.name)
        try:
            wanted = attributes_of(large.node)
            if not differences(os.fstat(fd), read_xattrs(fd), wanted):
                return Outcome.UNCHANGED, []
            return Outcome.UPDATED, apply_to_descriptor(fd, wanted)
        finally:
            os.close(fd)

    def complete(self, directory: bytes, large: Large) -> tuple[bytes, list[str]]:
        """Make the temporary file whole; its name, and warnings. The name is empty when it has its final one already.

        Raises:
            OSError: it is gone.
        """
        standing = standing_large(self._run.workspace, large.number)
        present = look(self._directories, directory, large.node.name)
        if present is not None and is_that_file(present, standing):
            return b"", []
        parent = self._directories.open(directory)
        fd = open_standing(parent, standing)
        try:
            self._take_over(directory, large, fd)
            warnings = apply_to_descriptor(fd, attributes_of(large.node))
            os.fsync(fd)
        finally:
            os.close(fd)
        return standing.temporary, warnings

    def drop(self, directory: bytes, large: Large) -> None:
        """Remove the temporary file of one that failed or is skipped."""
        try:
            standing = standing_large(self._run.workspace, large.number)
        except RunStateError:
            return
        discard(self._directories.open(directory).fd, standing.temporary)

    def _take_over(self, directory: bytes, large: Large, fd: int) -> None:
        """Copy the segments that the old file had right; without them the file would have silent holes."""
        starts = [0] * (large.segments + 1)
        matching: list[int] = []
        for position in range(large.segments):
            shard = large.first_shard + position
            starts[position] = self._run.plan.shard(shard).files[0].start
            if self._outcomes[shard] == Outcome.SEGMENT_MATCHES:
                matching.append(position)
        starts[large.segments] = large.size
        if not matching:
            return
        old = open_existing(self._directories.open(directory).fd, large.node.name)
        try:
            for position in matching:
                copy_range(old, fd, starts[position], starts[position + 1] - starts[position])
        finally:
            os.close(old)
