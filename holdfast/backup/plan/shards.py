"""Cut what must be read into shards and segments. Pure.

Shards follow the walk, so that the commit can stream their results. A shard holds about a page's share of bytes, so
that all workers have something to do, or `shard_files` small files. A file larger than one and a half `segment_bytes`
is cut into segments at fixed multiples of that much data: the seams, being chunk boundaries, must lie at the same
places in the next run. The numbers are in holdfast/sizes.py.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from holdfast.backup.documents import Extent, FileToRead, ShardPlan
from holdfast.sizes import BackupSizes

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


def cut_segments(extents: Iterable[Extent], segment_bytes: int) -> list[Segment]:
    """Segments of a file with these extents, in order and without gaps: at least one, the last open-ended."""
    segments: list[Segment] = []
    start = data = 0
    for extent in extents:
        if extent.hole:
            continue
        offset, left = extent.offset, extent.length
        while data + left >= segment_bytes + segment_bytes // 2:
            take = segment_bytes - data
            offset, left = offset + take, left - take
            segments.append(Segment(start=start, end=offset, bytes_to_read=segment_bytes))
            start, data = offset, 0
        data += left
    segments.append(Segment(start=start, end=-1, bytes_to_read=data))
    return segments


def cut_shards(files: Sequence[Planned], sizes: BackupSizes) -> Iterator[ShardPlan]:
    """Shards of these files, in order."""
    total = sum([file.bytes_to_read for file in files])
    target = min(max(total // SHARDS_PER_PAGE, sizes.shard_bytes), sizes.most_shard_bytes)
    batch: list[Planned] = []
    size = 0
    for file in files:
        if batch and (size + file.bytes_to_read > target or len(batch) >= sizes.shard_files):
            yield _shard(batch)
            batch, size = [], 0
        batch.append(file)
        size += file.bytes_to_read
    if batch:
        yield _shard(batch)


def take_full_shard(files: list[Planned], bytes_to_read: int, sizes: BackupSizes) -> ShardPlan | None:
    """Take the first shard off these files, if it is the same whatever comes after them. bytes_to_read: theirs."""
    if len(files) < sizes.shard_files or bytes_to_read > sizes.shard_bytes:
        return None
    plan = _shard(files[: sizes.shard_files])
    del files[: sizes.shard_files]
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
