"""Writes the plan of one page: records for the finish, and files cut into shards.

Files go into shards in walk order, up to `shard_bytes` to be written or `shard_files`. A larger file is cut into
segments that are shards of their own, so several processes write it at once and a crash costs one segment.
"""

from collections.abc import Iterator, Sequence

from holdfast.format.tree import Node
from holdfast.ids import BlobId
from holdfast.restore.documents import FilePlan, PlanRecord, ShardPlan
from holdfast.restore.run import RestoreWriter
from holdfast.sizes import RestoreSizes


def front_code(paths: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
    """Each path as (bytes shared with the one before, the rest)."""
    before = b""
    for path in paths:
        shared = _shared_length(before, path)
        yield shared, path[shared:]
        before = path


def front_decode(coded: Sequence[tuple[int, bytes]]) -> Iterator[bytes]:
    """The paths again, one at a time."""
    path = b""
    for shared, rest in coded:
        path = path[:shared] + rest
        yield path


def _shared_length(one: bytes, other: bytes) -> int:
    """The length of the common beginning, found by halving (slices compare at memory speed)."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


class PlanWriter:
    """Collects the records and files of a page."""

    def __init__(self, pages: RestoreWriter, sizes: RestoreSizes) -> None:
        self._pages = pages
        self._sizes = sizes
        self._files: list[FilePlan] = []
        self._directories: list[bytes] = []
        self._bytes = 0
        self.obstacles: list[bytes] = []
        self.links: list[bytes] = []

    @property
    def next_shard(self) -> int:
        """The number that the next shard to be closed will have."""
        return self._pages.next_shard

    def record(self, record: PlanRecord) -> None:
        """Add a record for the finish."""
        self._pages.add((record,))

    def file(
        self,
        directory: bytes,
        node: Node,
        number: int,
        size: int,
        content: Sequence[BlobId],
        cost: int,
        expected: str,
    ) -> None:
        """Add a whole file; cost: the bytes that will be written for it."""
        sizes = self._sizes
        if self._files and (self._bytes + cost > sizes.shard_bytes or len(self._files) >= sizes.shard_files):
            self.close_shard()
        if not self._directories or self._directories[-1] != directory:
            self._directories.append(directory)
        self._files.append(
            FilePlan(
                directory=len(self._directories) - 1,
                number=number,
                node=node,
                size=size,
                content=b"".join(content),
                expected=expected,
            )
        )
        self._bytes += cost

    def segment(self, directory: bytes, plan: FilePlan) -> None:
        """Add one segment of a large file as a shard of its own."""
        self.close_shard()
        self._directories.append(directory)
        self._files.append(plan)
        self.close_shard()

    def close_shard(self) -> None:
        """Write the current shard, if it has any file."""
        if not self._files:
            return
        shard = ShardPlan(
            directories=tuple(front_code(self._directories)),
            files=tuple(self._files),
            obstacles=tuple(self.obstacles),
            links=tuple(self.links),
        )
        self._pages.write_shard(shard)
        self._files, self._directories, self._bytes = [], [], 0

    def finish(self) -> None:
        """Write what is left."""
        self.close_shard()
        self._pages.flush()
