"""How packs are cut into shards, so that all who read them are done at about the same time.

What a pack costs is not what it measures: a log expands to seven times its size, and all of that is hashed. Costly
packs come first, and shards get smaller as less is left, so that at the end nobody waits long for a last one.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from holdfast.repository.index.map import PackInfo
from holdfast.sizes import VerifySizes

_WORK_PER_BLOB: Final = 8 << 10
"""Measured: what each blob takes of time beside its bytes."""


def work_of(pack: PackInfo) -> int:
    """What it takes to check a pack, in bytes: those that are read, and those that they expand to."""
    return pack.size_bytes + pack.expanded_bytes + pack.blob_count * _WORK_PER_BLOB


def cut(packs: Sequence[PackInfo], wanted: int, sizes: VerifySizes) -> Iterator[list[PackInfo]]:
    """Packs in shards: the first has one of `wanted` parts of the work, each further one such a part of what is left.

    No shard has much less than `shard_work` but the last, and none more than `most_shard_work` unless one pack has.
    """
    left = sum(work_of(pack) for pack in packs)
    shard: list[PackInfo] = []
    have = size = 0
    for pack in sorted(packs, key=lambda pack: (-work_of(pack), pack.id)):
        work = work_of(pack)
        if shard and have + work // 2 > size:
            yield shard
            shard, have = [], 0
        if not shard:
            size = min(sizes.most_shard_work, max(sizes.shard_work, left // wanted))
        shard.append(pack)
        have += work
        left -= work
    if shard:
        yield shard
