"""Diagnose damaged packs, mark them, and let go of them once nothing needs them any more.

Diagnosis reads each blob of a pack on its own, by the index's entries, so that one bad bit costs one blob. The mark is
what makes the next full backup store the bad blobs again (repository/damage.py). A pack can go when each of its bad
blobs has a sound copy elsewhere, or is needed by no snapshot. Then, under the exclusive lock:

    1. its sound blobs that nobody else has are stored in new packs, and these indexed;
    2. it is taken out of the index, and its file removed (repository/index/rewrite.py);
    3. its mark is removed.

A crash in between leaves the mark, and the next verification does the rest; if it came after the index was written,
the pack's file stays behind, and the next prune removes it.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from holdfast.errors import IntegrityError, StorageUnavailableError
from holdfast.format.index import BlobEntry, BlobType, IndexPack
from holdfast.ids import BlobId, PackId
from holdfast.repository.damage import BlobKey, DamagedPack, DamageMarks
from holdfast.repository.exclusive import WAIT_FOR_OTHERS_S, ExclusiveLock
from holdfast.repository.index.files import IndexLoader
from holdfast.repository.index.map import BlobLocation, IndexMap, PackInfo
from holdfast.repository.index.rewrite import entries_of, remove_packs, write_checked
from holdfast.repository.layout import pack_name
from holdfast.repository.packs.loader import BlobLoader
from holdfast.repository.packs.packer import Packer
from holdfast.repository.repository import Repository
from holdfast.repository.second_look import looked_at_again
from holdfast.repository.session import HeldRepository, RepositorySession
from holdfast.verify.packs import check_packs


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """Packs as they were found: damaged ones, sound ones after all, and ones that no index names."""

    damaged: tuple[DamagedPack, ...]
    sound: tuple[PackId, ...]
    unnamed: tuple[PackId, ...]


def diagnose(held: HeldRepository, suspects: Collection[PackId]) -> Diagnosis:
    """Read suspected packs again, whole and then blob by blob.

    Raises:
        StorageUnavailableError: the storage does not answer.
    """
    entries = entries_of(held.repository, suspects, tolerant=True)
    damaged: list[DamagedPack] = []
    sound: list[PackId] = []
    for pack in entries.values():
        if _is_sound(held, pack):
            sound.append(pack.id)
        else:
            damaged.append(DamagedPack(pack=pack.id, blobs=_bad_blobs(held.repository, pack)))
    unnamed = tuple(pack for pack in suspects if pack not in entries)
    return Diagnosis(damaged=tuple(damaged), sound=tuple(sound), unnamed=unnamed)


def diagnose_and_mark(held: HeldRepository, suspects: Collection[PackId]) -> Diagnosis:
    """Read suspected packs again, and leave the marks that they call for, and no others of them.

    A process that holds the repository already goes on without the new marks; one that begins to use it now knows them.

    Raises:
        StorageUnavailableError: the storage does not answer.
        LockLostError: before anything is marked.
    """
    diagnosis = diagnose(held, suspects)
    held.confirm()
    marks = DamageMarks(held.repository)
    for damaged in diagnosis.damaged:
        marks.put(damaged)
    unnamed = () if held.unreadable_index else diagnosis.unnamed  # what cannot be read may name them
    for pack in (*diagnosis.sound, *unnamed):
        marks.remove(pack)
    held.note_marks()
    return diagnosis


def without_sound_copy(held: HeldRepository, damaged: Iterable[DamagedPack]) -> set[BlobKey]:
    """The marked blobs that cannot be read from any pack. `held` must know the marks."""
    lost: set[BlobKey] = set()
    for pack in damaged:
        for blob, kind in pack.blobs:
            location = held.index.lookup(blob, kind)
            if location is None or _is_marked(held.index, location) or not _reads(held.loader, blob, kind):
                lost.add((blob, kind))
    return lost


def mend(session: RepositorySession, packs: Collection[PackId]) -> None:
    """Let go of packs that nothing needs: the caller has made sure of that, under a lock that it no longer holds.

    Raises:
        RepositoryLockedError: the repository is in use; nothing was done.
        CorruptFileError: an index file cannot be read; nothing was done.
        StorageUnavailableError, StorageFullError, LockLostError: begun; the next verification finishes it.
    """
    repository = session.repository
    with ExclusiveLock(repository, wait_s=WAIT_FOR_OTHERS_S) as lock:
        loader = IndexLoader(repository)
        loader.refresh()
        loader.check_whole()
        rescued = _rescue(session, loader.index, entries_of(repository, packs), lock.check)
        write_checked(repository, [pack.columns for pack in rescued], lock.check)
        remove_packs(repository, packs, lock.check)
        marks = DamageMarks(repository)
        for pack in packs:
            marks.remove(pack)


def _is_sound(held: HeldRepository, pack: IndexPack) -> bool:
    info = PackInfo(pack.id, pack.size_bytes, len(pack.blobs))
    # By its own entries: the shared index does not show the blobs that a mark speaks of.
    own = IndexMap()
    own.add(pack)
    return all(checked.problem is None for checked in check_packs(held.repository, own, [info]))


def _bad_blobs(repository: Repository, pack: IndexPack) -> frozenset[BlobKey]:
    name = pack_name(pack.id)
    bad: set[BlobKey] = set()
    for entry in pack.blobs:
        try:
            looked_at_again(repository.storage, partial(_open, repository, name, entry))
        except IntegrityError:
            bad.add((entry.id, entry.type))
        except StorageUnavailableError as error:
            if not repository.is_bad_sector(error):
                raise
            bad.add((entry.id, entry.type))
    return frozenset(bad)


def _open(repository: Repository, name: str, entry: BlobEntry) -> None:
    repository.decoder().decode(repository.storage.get_range(name, entry.offset, entry.length), entry)


def _is_marked(index: IndexMap, location: BlobLocation) -> bool:
    damaged = index.damage.get(location.pack)
    return damaged is not None and damaged.covers(location.entry.id, location.entry.type)


def _reads(loader: BlobLoader, blob: BlobId, kind: BlobType) -> bool:
    try:
        loader.load(blob, kind)
    except IntegrityError:
        return False
    return True


def _rescue(
    session: RepositorySession,
    index: IndexMap,
    going: Mapping[PackId, IndexPack],
    check_lock: Callable[[], None],
) -> list[IndexPack]:
    """Store the sound blobs of packs that go, unless another pack has a copy that can be read."""
    loader = BlobLoader(session.repository, index)
    stored: list[IndexPack] = []
    for kind in BlobType:
        found = (place for pack in going.values() for place in _only_there(index, loader, pack, kind, going))
        wanted = {place.entry.id: place for place in found}
        if not wanted:
            continue
        with Packer(
            session.repository,
            kind,
            compression=session.compression,
            pack_size_bytes=session.pack_size_bytes,
            check_lock=check_lock,
        ) as packer:
            for planned in loader.plan_located(wanted.values()):
                for blob, data in loader.read_range(planned):
                    packer.add(blob, data)
            packer.flush()
            stored += packer.take_stored()
    return stored


def _only_there(
    index: IndexMap, loader: BlobLoader, pack: IndexPack, kind: BlobType, going: Collection[PackId]
) -> Iterator[BlobLocation]:
    """The sound blobs of a pack that goes, as far as they cannot be read from a pack that stays."""
    for entry in pack.blobs:
        here = BlobLocation(pack.id, entry)
        if entry.type is not kind or _is_marked(index, here):
            continue
        location = index.lookup(entry.id, kind)
        if location is None or location.pack in going or not _reads(loader, entry.id, kind):
            yield here
