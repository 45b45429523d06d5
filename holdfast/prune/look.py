"""The look before packs go: what is used is looked up in packs that stay, and what would be missed is taken back.

What the run has marked and what snapshots since use is looked up in the index as it is now: others may have pruned, or
written index files. A pack that goes and holds something of it alone stays. If no index names it now, because a
request of ours was on its way while our lock had lapsed, or because it was marked (marked.py), it is named again at
once: by what was kept of its entry, or by its own header.

Packs that index files have come to name since the plan are asked for by name: such a file may have been written while
the lock of its writer had lapsed, and a prune was deleting its packs. One that is gone is marked as damaged, so that
nobody relies on it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from holdfast.errors import BlobMissingError, CorruptFileError, StoredFileMissingError
from holdfast.format.index import BlobType, IndexPack, PackColumns, decode_index, encode_index
from holdfast.format.pack import parse_pack
from holdfast.ids import BlobId, IndexId, PackId, SnapshotId
from holdfast.prune.documents import REPACK, IndexFiles, Opening, PruneRun, Root, split_ids
from holdfast.prune.plan import FILES, packs_that_go
from holdfast.prune.refusals import refuse_missing
from holdfast.prune.used import Missing, lost_roots, mark_used, walk
from holdfast.repository.damage import DamagedPack, DamageMarks
from holdfast.repository.index.files import IndexLoader
from holdfast.repository.index.marks import BlobMarks
from holdfast.repository.layout import pack_name
from holdfast.repository.packs.loader import BlobLoader
from holdfast.repository.repository import Repository
from holdfast.repository.session import HeldRepository
from holdfast.runs.opening import load_opening
from holdfast.runs.progress import Progress

_ENTRIES: Final = f"{REPACK}entries/"
_PACK_LIMIT_BYTES: Final = 1 << 30


@dataclass(slots=True)
class Look:
    """What was found. going: the packs that go, with their sizes; planned: how many were to go.

    seen: the snapshots that were there. lost: trees of the bin that lack something, and do not count. entries: what an
    index said of packs that go, where no index does now.
    """

    index: IndexLoader
    loader: BlobLoader
    marks: BlobMarks
    seen: set[SnapshotId]
    going: dict[PackId, int]
    planned: int
    lost: frozenset[bytes]
    entries: Callable[[], Iterator[IndexPack]]


def take_look(run: PruneRun, progress: Progress, extra_roots: Callable[[], Sequence[Root]]) -> Look:
    """Look, and take back what is used; under the shared lock. extra_roots: see `switch`.

    Raises:
        BlobMissingError, CorruptFileError: something that snapshots need is not there.
        StorageUnavailableError: a listing leaves out what is there; or the storage does not answer.
        RunStateError: the plan is gone. RunClosedError: the run is over.
    """
    lost: frozenset[bytes] = frozenset()
    in_bin = load_opening(run.workspace, Opening).order.roots
    results = run.plan.results(run.plan.page(0).shards)
    stay = {PackId(pack) for result in results for pack in result.stay}
    going = {pack: size for pack, size in packs_that_go(run).items() if pack not in stay}
    with run.session.hold() as held:
        _mark_gone(run, held)
    planned = len(going)
    with run.session.hold() as held:  # again: the index is loaded with the new marks
        while True:
            marks, missing, seen = mark_used(run, held, going, progress, extra_roots, lost)
            held.files.check_whole()
            look = Look(
                held.files, held.loader, marks, seen, going, planned, lost, partial(saved_entries, run)
            )
            try:
                take_back(run.session.repository, look, missing, progress, held.write_index)
            except BlobMissingError:
                new = lost_roots(held, [*in_bin, *extra_roots()], lambda: progress(0, 0)) - lost
                if not new:
                    raise
                lost |= new
            else:
                held.confirm()
                return look


def _mark_gone(run: PruneRun, held: HeldRepository) -> None:
    """Mark packs that are named by index files newer than the plan, and are not there."""
    held.refresh()
    known = run.plan.beside(0, run.plan.page(0), FILES, IndexFiles).ids
    new = held.files.files.difference(map(IndexId, split_ids(known)))
    named = {pack.id for index_id in new for pack in held.index.packs_of(index_id)}
    gone = [pack for pack in held.missing_packs(named) if pack not in held.index.damage]
    if gone:
        held.confirm()
    for pack in gone:
        DamageMarks(held.repository).put(DamagedPack(pack=pack, whole=True))
    if gone:
        held.note_marks()


def take_back(
    repository: Repository,
    look: Look,
    missing: Missing,
    progress: Progress,
    name_again: Callable[[Sequence[IndexPack]], None],
) -> None:
    """Have packs stay that hold alone what is used, until nothing is missing. name_again: writes an index file.

    What no index names now is named before anything is refused: it may be the only copy that a snapshot has.

    Raises:
        BlobMissingError: it is in no pack that goes either.
    """
    while missing:
        back: set[PackId] = set()
        nowhere: Missing = set()
        for blob, kind in list(missing):
            location = look.index.index.lookup(BlobId(blob), kind)
            if location is not None and location.pack in look.going:
                back.add(location.pack)
            elif location is not None and kind is BlobType.DATA:
                missing.remove((blob, kind))  # it is damaged, in a pack that stays
            else:
                nowhere.add((blob, kind))
        if nowhere:
            found = _find_hidden(repository, look, nowhere)
            if not found:
                refuse_missing(nowhere)
            name_again(found)
            back.update(pack.id for pack in found)
        for pack_id in back:
            del look.going[pack_id]
        look.marks.let_count(back)
        trees = [blob for blob, kind in missing if kind is BlobType.TREE]
        data = [blob for blob, kind in missing if kind is BlobType.DATA]
        missing = walk(look.loader, look.marks, trees, lambda: progress(0, 0))
        missing.update((blob, BlobType.DATA) for blob in look.marks.mark(data, BlobType.DATA)[1])


def _find_hidden(repository: Repository, look: Look, wanted: Missing) -> list[IndexPack]:
    """Packs that go, that no index names now, and that hold something which is used."""
    saved = {pack.id: pack for pack in look.entries()}
    found: list[IndexPack] = []
    for pack_id in look.going:
        if look.index.index.has_pack(pack_id):
            continue
        pack = saved.get(pack_id) or _by_header(repository, pack_id)
        if pack is not None and any((blob.id, blob.type) in wanted for blob in pack.blobs):
            found.append(pack)
    return found


def _by_header(repository: Repository, pack: PackId) -> IndexPack | None:
    try:
        data = repository.storage.get(pack_name(pack), limit_bytes=_PACK_LIMIT_BYTES)
        return IndexPack(id=pack, blobs=parse_pack(repository.sealer(), data))
    except (StoredFileMissingError, CorruptFileError):
        return None


def save_entries(run: PruneRun, token: str, number: int, packs: Sequence[PackColumns]) -> None:
    """Keep what the index says of packs that it will name no more."""
    run.workspace.put(f"{_ENTRIES}{token}/{number:06d}", encode_index(packs))


def saved_entries(run: PruneRun) -> Iterator[IndexPack]:
    """What was kept, by any attempt."""
    for name in run.workspace.list(_ENTRIES.rstrip("/")):
        data = run.workspace.get(name)
        for pack in decode_index(data) if data else ():
            yield pack.pack
