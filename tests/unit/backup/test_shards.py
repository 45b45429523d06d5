"""Cutting files into segments and shards."""

from collections.abc import Iterator

from holdfast.backup.documents import Extent, ShardPlan
from holdfast.backup.plan.shards import Planned, Segment, take_full_shard
from holdfast.backup.plan.shards import cut_segments as cut_into_segments
from holdfast.backup.plan.shards import cut_shards as cut_into_shards
from holdfast.sizes import BackupSizes

GIB = 1024**3
TIB = 1024**4
SIZES = BackupSizes()


def cut_segments(extents: list[Extent]) -> list[Segment]:
    return cut_into_segments(extents, SIZES.segment_bytes)


def cut_shards(files: list[Planned]) -> Iterator[ShardPlan]:
    return cut_into_shards(files, SIZES)


def planned(size: int, directory: bytes = b"/d", name: bytes = b"f") -> Planned:
    return Planned(directory=directory, name=name, size=size, inode=1, known=False, bytes_to_read=size)


def test_a_file_below_one_and_a_half_segments_stays_whole() -> None:
    (segment,) = cut_segments([Extent(0, SIZES.segment_bytes + SIZES.segment_bytes // 2 - 1)])

    assert (segment.start, segment.end) == (0, -1)


def test_segments_follow_each_other_and_the_last_is_open_ended() -> None:
    segments = cut_segments([Extent(0, 2 * GIB + 5)])

    assert [s.start for s in segments] == [0, *(s.end for s in segments[:-1])]
    assert segments[-1].end == -1
    assert sum(s.bytes_to_read for s in segments) == 2 * GIB + 5
    assert all(s.start % SIZES.segment_bytes == 0 for s in segments)


def test_a_growing_file_keeps_its_seams() -> None:
    before = cut_segments([Extent(0, 2 * GIB)])
    after = cut_segments([Extent(0, 3 * GIB)])

    assert [s.end for s in after][: len(before) - 1] == [s.end for s in before[:-1]]


def test_holes_do_not_count_towards_segments() -> None:
    (segment,) = cut_segments([Extent(0, TIB, hole=True), Extent(TIB, 4096)])

    assert segment.bytes_to_read == 4096


def test_shards_keep_the_order_and_lose_nothing() -> None:
    files = [planned(SIZES.shard_bytes // 2, name=b"%d" % n) for n in range(9)]

    shards = list(cut_shards(files))

    assert [file.name for shard in shards for file in shard.files] == [file.name for file in files]
    assert all(shard.bytes_to_read <= SIZES.shard_bytes for shard in shards)


def test_shards_are_bounded_by_files_and_by_bytes() -> None:
    many = list(cut_shards([planned(0)] * (SIZES.shard_files + 1)))
    large = list(cut_shards([planned(SIZES.segment_bytes)] * 100))

    assert [len(shard.files) for shard in many] == [SIZES.shard_files, 1]
    assert all(shard.bytes_to_read <= SIZES.most_shard_bytes for shard in large)


def test_directories_are_named_once() -> None:
    (shard,) = cut_shards([planned(1, b"/a"), planned(1, b"/a"), planned(1, b"/b")])

    assert shard.directories == (b"/a", b"/b")
    assert [file.directory for file in shard.files] == [0, 0, 1]


def test_nothing_to_read_makes_no_shard() -> None:
    assert list(cut_shards([])) == []


def test_shards_of_very_small_files_are_cut_while_the_walk_goes_on() -> None:
    files = [planned(1, b"/%d" % (n // 1_000)) for n in range(2 * SIZES.shard_files + 1)]
    cut = list(cut_shards(files))

    taken = [take_full_shard(files, len(files), SIZES) for _ in range(3)]

    assert taken == [*cut[:2], None]
    assert list(cut_shards(files)) == cut[2:]


def test_no_shard_is_cut_early_that_could_become_larger() -> None:
    files = [planned(SIZES.shard_bytes // SIZES.shard_files + 1)] * SIZES.shard_files

    assert take_full_shard(files, sum(file.bytes_to_read for file in files), SIZES) is None
    assert take_full_shard([planned(1)] * (SIZES.shard_files - 1), 1, SIZES) is None
