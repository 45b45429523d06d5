"""Decide what a prune does, once: which packs go, which are copied from first, which stay; a value that can be printed.

    1. what is used is marked in the index as it is now; prune is refused where anything of it is missing;
    2. packs are chosen (decide.py), and compared with a listing of all that is stored: a pack that something needs has
       the right size, and no name is unknown. A pack in no index that is a day old goes with the rest: a run that is on
       its way has named its packs by then, and one that is paused has only a shard to do again;
    3. the lock and the index are looked at again; lists and shards are written under a token, and the page is decided.
       A crash before this leaves documents that nothing names.

Nothing else in the repository is read than trees and the index.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from holdfast.format.index import BlobType
from holdfast.ids import ID_BYTES, PackId, is_hex_id
from holdfast.prune.decide import Decision, decide, unused_bytes
from holdfast.prune.documents import (
    IndexFiles,
    Opening,
    PackList,
    PackToMove,
    PrunePlan,
    PruneRun,
    RepackShard,
    Totals,
)
from holdfast.prune.refusals import (
    refuse_bad_packs,
    refuse_missing,
    refuse_unknown,
    refuse_unverified,
)
from holdfast.prune.used import lost_roots, mark_used, walk
from holdfast.repository.index.marks import PackUse
from holdfast.repository.layout import DATA, pack_name
from holdfast.repository.packs.stored import sizes_by_name
from holdfast.repository.session import HeldRepository
from holdfast.runs.opening import load_opening
from holdfast.runs.plan import NoRecord, PageWriter
from holdfast.runs.progress import Progress
from holdfast.units import NS_PER_S

DROP: Final = "drop"
MOVE: Final = "move"
UNNAMED: Final = "unnamed"
FILES: Final = "files"
_SHARD_BYTES: Final = 512 << 20
_UNNAMED_AGE_S: Final = 86_400
_TEMPORARY: Final = "-tmp-"
"""What a crash of restic's leaves in a directory: a pack's name and this, with a number."""
_DELETED_AT_ONCE: Final = 1000


def plan_prune(run: PruneRun, progress: Progress) -> PrunePlan:
    """The run's plan; the second call finds what the first one decided. progress: trees that are walked.

    Raises:
        BlobMissingError, CorruptFileError: something that snapshots need is not there or not whole.
        UsageError: the listing shows what nobody knows; more than half would go, and nobody has verified it lately.
        RunStateError: results of marking are gone. RunClosedError: the run is over.
        LockLostError, StorageUnavailableError, …: from the repository.
    """

    def plan_page(writer: PageWriter[NoRecord, RepackShard], _before: PrunePlan | None) -> PrunePlan:
        order = load_opening(run.workspace, Opening).order
        with run.session.hold() as held:
            marks, missing, _ = mark_used(run, held, (), progress)
            held.files.check_whole()
            lost: frozenset[bytes] = frozenset()
            if missing or any(result.lost for result in run.marks.results(run.marks.page(0).shards)):
                held.confirm()  # what is not there may have been removed under us
                lost = lost_roots(held, order.roots, lambda: progress(0, 0))
                marks, missing, _ = mark_used(run, held, (), progress, lambda: order.roots, lost)
            refuse_missing(missing)
            walk(held.loader, marks, lost, lambda: progress(0, 0))
            uses = list(marks.uses())
            chosen = decide(uses, order, pack_size_bytes=held.pack_size_bytes)
            damaged = _keep_damaged(chosen, held)
            unnamed = _look_at_packs(held, uses)
            if lost:
                unnamed = {}  # they may be what is lacking
            moved = dict(marks.marked_in({pack.id for pack in chosen.move}))
            held.confirm()
            files = b"".join(sorted(held.files.files))
        for shard in _cut(chosen.move, moved):
            writer.write_shard(shard)
        for name, packs in ((DROP, _sizes(chosen.drop)), (MOVE, _sizes(chosen.move)), (UNNAMED, unnamed)):
            writer.write(name, PackList.of(packs))
        writer.write(FILES, IndexFiles(files))
        plan = PrunePlan(
            token=writer.token,
            shards=writer.shards,
            repository=held.repository.storage.location,
            total=_totals(uses),
            unused_bytes=sum(map(unused_bytes, uses)),
            drop=_totals(chosen.drop),
            move=_totals(chosen.move),
            moved_bytes=sum(pack.used_bytes for pack in chosen.move),
            unnamed=Totals(packs=len(unnamed), size_bytes=sum(unnamed.values())),
            left_unused_bytes=chosen.left_unused_bytes,
            requests=_requests(chosen, len(unnamed), held),
            damaged=damaged,
        )
        refuse_unverified(order, plan)
        return plan

    return run.plan.select(0, plan_page)


def packs_that_go(run: PruneRun) -> dict[PackId, int]:
    """The packs that the plan lets go, with their sizes: those to drop, and those to copy from.

    Raises:
        RunStateError: the plan is gone. RunClosedError: the run is over.
    """
    plan = run.plan.page(0)
    return {
        **run.plan.beside(0, plan, DROP, PackList).packs(),
        **run.plan.beside(0, plan, MOVE, PackList).packs(),
    }


def _keep_damaged(chosen: Decision, held: HeldRepository) -> int:
    """Have packs with marks of damage stay, if anything of them is used; how many there are."""
    damaged = [pack for pack in chosen.move if pack.id in held.index.damage]
    for pack in damaged:
        chosen.move.remove(pack)
        chosen.keep.append(pack)
    return len(damaged)


def _look_at_packs(held: HeldRepository, uses: Sequence[PackUse]) -> dict[PackId, int]:
    """Compare the index with what is stored; the packs that no index names, of a day ago or more, with their sizes."""
    storage = held.repository.storage
    stored: dict[PackId, int] = {}
    written_ns: dict[PackId, int] = {}
    unknown: list[str] = []
    for file in storage.list(DATA):
        name = file.name.rpartition("/")[2]
        pack_id = PackId(bytes.fromhex(name)) if is_hex_id(name) else None
        if pack_id is not None and file.name == pack_name(pack_id):
            stored[pack_id] = file.size_bytes
            if not held.index.has_pack(pack_id):
                written_ns[pack_id] = file.modified_ns
        elif not (is_hex_id(name[: 2 * ID_BYTES]) and name[2 * ID_BYTES :].startswith(_TEMPORARY)):
            unknown.append(file.name)
    refuse_unknown(unknown, storage.location)
    needed = {pack.id: pack.size_bytes for pack in uses if pack.used}
    absent = [pack for pack in needed if pack not in stored]
    stored.update((pack, size) for pack, size in sizes_by_name(storage, absent).items() if size is not None)
    refuse_bad_packs(
        (
            (pack, stored.get(pack), size)
            for pack, size in needed.items()
            if stored.get(pack) != size and pack not in held.index.damage
        ),
        storage.location,
    )
    held.refresh()
    newest_ns = time.time_ns() - int(held.clock_skew_s() * NS_PER_S) - _UNNAMED_AGE_S * NS_PER_S
    return {
        pack: stored[pack]
        for pack, written in written_ns.items()
        if written <= newest_ns and not held.index.has_pack(pack)
    }


def _cut(
    packs: Sequence[PackUse], marked: Mapping[PackId, Sequence[tuple[bytes, BlobType]]]
) -> Iterator[RepackShard]:
    """Shards of packs of one type, so that what lay in neighbouring packs lies so again."""
    for kind in (BlobType.TREE, BlobType.DATA, None):
        shard: list[PackToMove] = []
        size = 0
        for pack in packs:
            if pack.kind is not kind:
                continue
            if shard and size + pack.size_bytes > _SHARD_BYTES:
                yield RepackShard(packs=tuple(shard))
                shard, size = [], 0
            blobs = marked[pack.id]
            shard.append(
                PackToMove(
                    pack.id,
                    pack.size_bytes,
                    b"".join([blob for blob, its in blobs if its is BlobType.TREE]),
                    b"".join([blob for blob, its in blobs if its is BlobType.DATA]),
                )
            )
            size += pack.size_bytes
        if shard:
            yield RepackShard(packs=tuple(shard))


def _sizes(packs: Sequence[PackUse]) -> dict[PackId, int]:
    return {pack.id: pack.size_bytes for pack in packs}


def _totals(packs: Sequence[PackUse]) -> Totals:
    return Totals(
        packs=len(packs),
        size_bytes=sum(pack.size_bytes for pack in packs),
        blobs=sum(pack.blobs for pack in packs),
    )


def _requests(chosen: Decision, unnamed: int, held: HeldRepository) -> int:
    """About how many: a read for each range, a write for each new pack, removals many at once, and the index."""
    range_bytes = held.repository.storage.traits.range_bytes
    reads = sum(-(-pack.used_bytes // range_bytes) for pack in chosen.move)
    written = -(-sum(pack.used_bytes for pack in chosen.move) // held.pack_size_bytes)
    removed = len(chosen.drop) + len(chosen.move) + unnamed
    return reads + written + -(-removed // _DELETED_AT_ONCE) + 2 * len(held.files.files)
