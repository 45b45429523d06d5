"""Plan a verification: which packs are read, in which shards. What is stored later is not part of it.

How packs are cut into shards, so that all who read them are done at about the same time: what a pack costs is not what
it measures, for a log expands to seven times its size, and all of that is hashed. Costly packs come first, and shards
get smaller as less is left, so that at the end nobody waits long for a last one.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from holdfast.errors import RunStateError
from holdfast.ids import ID_BYTES, PackId
from holdfast.repository.documents import load
from holdfast.repository.index.map import PackInfo
from holdfast.runs.opening import load_opening
from holdfast.runs.plan import NoRecord, PageWriter
from holdfast.sizes import VerifySizes
from holdfast.verify.documents import (
    STRUCTURE,
    Opening,
    Page,
    PlannedPack,
    ShardPlan,
    StructureResult,
    VerifyRun,
)
from holdfast.verify.share import Share, choose

_SHARDS_WANTED: Final = 16
_WORK_PER_BLOB: Final = 8 << 10
"""Measured: what each blob takes of time beside its bytes."""


def plan_verification(
    run: VerifyRun, share: Share, now_ns: int, *, shards_wanted: int = _SHARDS_WANTED
) -> Page:
    """Choose the packs and cut them into shards. Of chosen snapshots the structure must have been checked before.

    Raises:
        RunClosedError: the run is over, or was never opened.
    """

    def plan_page(writer: PageWriter[NoRecord, ShardPlan], _before: Page | None) -> Page:
        only = load_opening(run.workspace, Opening).snapshots
        with run.session.hold() as held:
            everything = [pack for pack in held.index.packs() if pack.id not in held.index.damage]
        needed = _needed(run) if only else None
        candidates = [pack for pack in everything if needed is None or pack.id in needed]
        packs = choose(candidates, share, seed=run.run_id.encode(), now_ns=now_ns)
        for shard in cut(packs, shards_wanted, run.session.sizes.verify):
            planned = tuple(PlannedPack(pack.id, pack.size_bytes, pack.blob_count) for pack in shard)
            writer.write_shard(ShardPlan(packs=planned))
        return Page(
            token=writer.token,
            shards=writer.shards,
            packs=len(packs),
            size_bytes=sum(pack.size_bytes for pack in packs),
            packs_of_repository=len(everything),
        )

    return run.plan.select(0, plan_page)


def _needed(run: VerifyRun) -> Collection[PackId]:
    structure = load(run.workspace, STRUCTURE, StructureResult)
    if structure is None:
        raise RunStateError("the run's walk of the trees is gone, or was never made")
    raw = structure.needed
    return {PackId(raw[at : at + ID_BYTES]) for at in range(0, len(raw), ID_BYTES)}


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
