"""The short part: the index names no more what goes. All that a prune does while nobody else may use the repository.

    1. a `switched` that stands is returned at once;
    2. under the shared lock, all that is used is looked up in packs that stay: what the run has marked, and what
       snapshots since use. A pack that holds something of it alone is taken back. Packs that index files have come to
       name since the plan are seen: an index file may have been written while its lock had lapsed and a prune was
       deleting its packs. One that is gone is marked as damaged. This may take minutes;
    3. the exclusive lock is taken, or the call ends for now: RepositoryLockedError. If an index file has gone since 2,
       somebody has removed packs, and it begins with 2 again;
    4. what has come since 2 is looked up likewise: snapshots and index files that are new, and no others;
    5. packs that no index named when the plan was made, nor now, are removed;
    6. the list of condemned packs is written (repository/condemned.py);
    7. index files are replaced: new ones first, then the old ones go (repository/index/rewrite.py);
    8. the lock is looked at, `switched` is decided, and the lock given back.

The lock is looked at before each write and removal of 5 to 7. A crash, or a lock that is lost, between any two steps
leaves packs that are in an index or that nothing needs; the next attempt begins with 2. One of the old index files may
have been removed by a request that was on its way while our lock had lapsed. Then 2 or 4 finds a pack that is used and
in no index, and names it again at once, by its own header.
"""

import secrets
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from holdfast.errors import CorruptFileError, RepositoryLockedError, StoredFileMissingError
from holdfast.format.index import BlobType, IndexPack
from holdfast.format.pack import parse_pack
from holdfast.ids import BlobId, IndexId, PackId, SnapshotId
from holdfast.prune.documents import (
    REPACK,
    SWITCHED,
    IndexFiles,
    Opening,
    PackList,
    PruneRun,
    Root,
    Switched,
    split_ids,
)
from holdfast.prune.plan import FILES, UNNAMED, packs_that_go
from holdfast.prune.refusals import gone_snapshots, refuse_missing
from holdfast.prune.used import Missing, mark_used, new_roots, walk
from holdfast.repository.condemned import condemn
from holdfast.repository.damage import DamagedPack, DamageMarks
from holdfast.repository.documents import encode, load
from holdfast.repository.index.files import IndexLoader, write_index
from holdfast.repository.index.marks import BlobMarks
from holdfast.repository.index.rewrite import replace_files
from holdfast.repository.layout import pack_name
from holdfast.repository.locking import ExclusiveLock
from holdfast.repository.packs.loader import BlobLoader
from holdfast.repository.repository import Repository
from holdfast.repository.session import HeldRepository
from holdfast.runs.opening import conclude, load_opening
from holdfast.runs.progress import Progress
from holdfast.runs.workspace import run_name

WAIT_FOR_LOCK_S: Final = 15.0
"""Longer than locks of workers linger."""
BATCH_PACKS: Final = 1000
_LOOKS: Final = 3
_REMOVE_UNNAMED_S: Final = 10.0
_AT_ONCE: Final = 1000
_PACK_LIMIT_BYTES: Final = 1 << 30
_TOKEN_BYTES: Final = 8


class _MovedError(Exception):
    """Somebody has removed packs since the look."""


@dataclass(slots=True)
class _Look:
    """What is known after step 2. going: the packs that go, with their sizes; planned: how many were to go."""

    index: IndexLoader
    loader: BlobLoader
    marks: BlobMarks
    seen: set[SnapshotId]
    going: dict[PackId, int]
    planned: int


def switch(
    run: PruneRun,
    progress: Progress,
    *,
    roots: Callable[[], Sequence[Root]] = tuple,
    wait_s: float = WAIT_FOR_LOCK_S,
    on_wait: Callable[[], None] = lambda: None,
) -> Switched:
    """Have the index name no more what goes; the outcome that stands. progress: trees that are walked.

    roots: what counts as used beside the snapshots as of now (see `PruneOrder`); asked under each lock: a snapshot may
    have come and gone into the bin since the run was opened. wait_s: for others to go; on_wait: called while that is
    waited for, and what it raises ends the wait.

    Raises:
        RepositoryLockedError: somebody uses the repository, and did not go in time. Nothing was changed.
        BlobMissingError, CorruptFileError: something that snapshots need is not there.
        StorageUnavailableError: a listing leaves out what is there; or the storage does not answer.
        LockLostError: the exclusive lock could not be kept; the next call goes on.
        RunStateError: the plan is gone. RunClosedError: the run is over.
    """
    standing = load(run.workspace, SWITCHED, Switched)
    if standing is not None:
        return standing
    for _ in range(_LOOKS):
        look = _look(run, progress, roots)
        try:
            return _alone(run, look, progress, roots, wait_s, on_wait)
        except _MovedError:
            continue
    raise RepositoryLockedError(
        f"{run.session.repository.storage.location}: others remove packs again and again",
        hint="Wait until that has ended.",
    )


def _look(run: PruneRun, progress: Progress, extra_roots: Callable[[], Sequence[Root]]) -> _Look:
    """Step 2."""
    results = run.plan.results(run.plan.page(0).shards)
    stay = {PackId(pack) for result in results for pack in result.stay}
    going = {pack: size for pack, size in packs_that_go(run).items() if pack not in stay}
    with run.session.hold() as held:
        _mark_gone(run, held)
    with run.session.hold() as held:  # again: the index is loaded with the new marks
        held.files.check_whole()
        marks, missing, seen = mark_used(run, held, going, progress, extra_roots())
        look = _Look(held.files, held.loader, marks, seen, going, len(going))
        _take_back(run.session.repository, look, missing, progress, held.write_index)
        held.confirm()
    return look


def _mark_gone(run: PruneRun, held: HeldRepository) -> None:
    """Mark packs that are named by index files newer than the plan, and are not there."""
    known = run.plan.beside(0, run.plan.page(0), FILES, IndexFiles).ids
    new = held.files.files.difference(map(IndexId, split_ids(known)))
    named = {pack.id for index_id in new for pack in held.index.packs_of(index_id)}
    gone = [pack for pack in held.missing_packs(named) if pack not in held.index.damage]
    if gone:
        held.confirm()
    for pack in gone:
        DamageMarks(held.repository).put(DamagedPack(pack=pack, whole=True))


def _alone(
    run: PruneRun,
    look: _Look,
    progress: Progress,
    extra_roots: Callable[[], Sequence[Root]],
    wait_s: float,
    on_wait: Callable[[], None],
) -> Switched:
    """Steps 3 to 8."""
    repository, workspace = run.session.repository, run.workspace
    order = load_opening(workspace, Opening).order
    plan = run.plan.page(0)
    unnamed = run.plan.beside(0, plan, UNNAMED, PackList).packs()
    with ExclusiveLock(repository, wait_s=wait_s, on_wait=on_wait) as lock:

        def name_again(packs: Sequence[IndexPack]) -> None:
            lock.check()
            columns = [pack.columns for pack in packs]
            look.index.add_written(write_index(repository, columns), columns)

        began = time.monotonic()
        if not look.index.catch_up(same_lock=False):
            raise _MovedError
        look.index.check_whole()
        look.marks.refresh()
        roots, listed = new_roots(repository, look.seen)
        gone_snapshots(repository, look.seen, listed)
        trees = [root.tree for root in (*roots, *extra_roots())]
        missing = walk(look.loader, look.marks, trees, lambda: progress(0, 0))
        _take_back(repository, look, missing, progress, name_again)
        removed = _remove_unnamed(repository, look, unnamed, lock)
        lock.check()
        condemn(repository, run_name(repository, run.run_id), look.going)
        files = replace_files(
            repository,
            look.index,
            look.going,
            check_lock=lock.check,
            check_clock=lock.check_clock,
            sparing=order.full_disk,
        )
        token = secrets.token_hex(_TOKEN_BYTES)
        batches = list(_batches(look.going))
        for number, batch in enumerate(batches):
            workspace.put(batch_name(token, number), encode(batch))
        lock.check()
        return conclude(
            workspace,
            SWITCHED,
            Switched(
                token=token,
                batches=len(batches),
                packs=len(look.going),
                size_bytes=sum(look.going.values()),
                taken_back=look.planned - len(look.going),
                unnamed=len(removed),
                unnamed_bytes=sum(removed.values()),
                alone_s=time.monotonic() - began,
                index_files=files,
            ),
        )


def batch_name(token: str, number: int) -> str:
    """The document that holds the packs of a batch."""
    return f"{REPACK}going/{token}/{number:06d}"


def _take_back(
    repository: Repository,
    look: _Look,
    missing: Missing,
    progress: Progress,
    name_again: Callable[[Sequence[IndexPack]], None],
) -> None:
    """Have packs stay that hold alone what is used, until nothing is missing. name_again: writes an index file.

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


def _find_hidden(repository: Repository, look: _Look, wanted: Missing) -> list[IndexPack]:
    """Packs that go, that no index names any more, and that hold something which is used: by their headers."""
    found: list[IndexPack] = []
    for pack in look.going:
        if look.index.index.has_pack(pack):
            continue
        try:
            data = repository.storage.get(pack_name(pack), limit_bytes=_PACK_LIMIT_BYTES)
            blobs = tuple(parse_pack(repository.sealer(), memoryview(bytearray(data))))
        except (StoredFileMissingError, CorruptFileError):
            continue
        if any((blob.id, blob.type) in wanted for blob in blobs):
            found.append(IndexPack(id=pack, blobs=blobs))
    return found


def _remove_unnamed(
    repository: Repository, look: _Look, unnamed: dict[PackId, int], lock: ExclusiveLock
) -> dict[PackId, int]:
    """Remove packs that no index names; what is not done in ten seconds is left to the next prune."""
    left = [pack for pack in unnamed if not look.index.index.has_pack(pack)]
    removed: dict[PackId, int] = {}
    until = time.monotonic() + _REMOVE_UNNAMED_S
    for at in range(0, len(left), _AT_ONCE):
        if time.monotonic() > until:
            break
        batch = left[at : at + _AT_ONCE]
        lock.check()
        repository.storage.delete_many(guarded(batch, lock))
        removed.update((pack, unnamed[pack]) for pack in batch)
    return removed


def guarded(packs: Collection[PackId], lock: ExclusiveLock) -> Iterator[str]:
    """The names of packs; before each one the clock says whether our lock may still be there."""
    for pack in packs:
        lock.check_clock()
        yield pack_name(pack)


def _batches(going: dict[PackId, int]) -> Iterator[PackList]:
    packs = sorted(going)
    for at in range(0, len(packs), BATCH_PACKS):
        yield PackList.of({pack: going[pack] for pack in packs[at : at + BATCH_PACKS]})
