"""Cut what must be read into shards and segments. Pure.

Shards follow the walk, so that the commit can stream their results. A shard holds about a page's share of bytes, so
that all workers have something to do, or MAX_SHARD_FILES small files. A file larger than SEGMENT_BYTES and a half is
cut into segments at fixed multiples of SEGMENT_BYTES of data: the seams, being chunk boundaries, must lie at the
same places in the next run.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from holdfast.backup.documents import Extent, FileToRead, ShardPlan

SEGMENT_BYTES: Final = 512 * 1024 * 1024
MIN_SHARD_BYTES: Final = 64 * 1024 * 1024
"""Some 20 to 30 ms of processor time go into a shard, whatever is in it: an activity, documents, an index file."""
MAX_SHARD_BYTES: Final = 1024 * 1024 * 1024
MAX_SHARD_FILES: Final = 4_096
"""A worker has some 2 KiB for each at hand, twice while one shard ends beside the next one's beginning."""
SHARDS_PER_PAGE: Final = 8


class Planned(msgspec.Struct, frozen=True, gc=False):
    """A file or segment that must be read. bytes_to_read: its data without holes."""

    directory: bytes
    name: bytes
    size: int
    inode: int
    known: bool
    bytes_to_read: int
    start: int = 0
    end: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """start and end in the file, end -1 for the last; data bytes between them."""

    start: int
    end: int
    bytes_to_read: int


def cut_segments(extents: Iterable[Extent]) -> list[Segment]:
    """Segments of a file with these extents, in order and without gaps: at least one, the last open-ended."""
    segments: list[Segment] = []
    start = data = 0
    for extent in extents:
        if extent.hole:
            continue
        offset, left = extent.offset, extent.length
        while data + left >= SEGMENT_BYTES + SEGMENT_BYTES // 2:
            take = SEGMENT_BYTES - data
            offset, left = offset + take, left - take
            segments.append(Segment(start=start, end=offset, bytes_to_read=SEGMENT_BYTES))
            start, data = offset, 0
        data += left
    segments.append(Segment(start=start, end=-1, bytes_to_read=data))
    return segments


def cut_shards(files: Sequence[Planned]) -> Iterator[ShardPlan]:
    """Shards of these files, in order."""
    total = sum([file.bytes_to_read for file in files])
    target = min(max(total // SHARDS_PER_PAGE, MIN_SHARD_BYTES), MAX_SHARD_BYTES)
    batch: list[Planned] = []
    size = 0
    for file in files:
        if batch and (size + file.bytes_to_read > target or len(batch) >= MAX_SHARD_FILES):
            yield _shard(batch)
            batch, size = [], 0
        batch.append(file)
        size += file.bytes_to_read
    if batch:
        yield _shard(batch)


def take_full_shard(files: list[Planned], bytes_to_read: int) -> ShardPlan | None:
    """Take the first shard off these files, if it is the same whatever comes after them. bytes_to_read: theirs."""
    if len(files) < MAX_SHARD_FILES or bytes_to_read > MIN_SHARD_BYTES:
        return None
    plan = _shard(files[:MAX_SHARD_FILES])
    del files[:MAX_SHARD_FILES]
    return plan


def _shard(files: Sequence[Planned]) -> ShardPlan:
    directories: dict[bytes, int] = {}
    number = directories.setdefault
    to_read = tuple(
        [
            FileToRead(
                number(file.directory, len(directories)),
                file.name,
                file.size,
                file.inode,
                file.start,
                file.end,
                file.known,
            )
            for file in files
        ]
    )
    return ShardPlan(
        directories=tuple(directories),
        files=to_read,
        bytes_to_read=sum([file.bytes_to_read for file in files]),
    )
