"""Packs are taken out of the index: index files never change, so those that name such packs are replaced.

    1. for each index file that names such a pack, one without it is written: now both stand, and repeat entries;
    2. the old file is removed: a client that has read it sees that it is gone, and reads again (session.py);
    3. now nothing names the packs, and their files may go.

A crash leaves at worst both files, or packs in no index; doing it again finishes it. Only under the exclusive lock:
another client may rely on the packs, or write an index file while the folder is listed.

One index file is in memory at a time, so the size of the repository does not matter.

A prune takes out many at once, of what its index in memory says (`replace_files`): all new files are written before the
first old one goes, and small ones are joined on the way.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Final

from holdfast.errors import CorruptFileError, LockLostError
from holdfast.format.index import IndexPack, PackColumns
from holdfast.ids import IndexId, PackId
from holdfast.repository.index.files import MAX_BLOBS_PER_FILE, IndexLoader, read_index, write_index
from holdfast.repository.index.log import LoggedPack
from holdfast.repository.layout import INDEX, file_name, list_ids, pack_name
from holdfast.repository.packs.stored import sizes_by_name
from holdfast.repository.repository import Repository

_SMALL_FILE_BLOBS: Final = 10_000
_FEW_SMALL_FILES: Final = 10
_REMOVED_AT_ONCE: Final = 1000
"""Between two looks at the lock; what one request takes."""


def entries_of(
    repository: Repository, packs: Collection[PackId], *, tolerant: bool = False
) -> dict[PackId, IndexPack]:
    """What the index says about these packs; those that it does not name are left out.

    tolerant: go by the index files that can be read.

    Raises:
        CorruptFileError: an index file cannot be read.
    """
    found: dict[PackId, IndexPack] = {}
    for _, named in _index_files(repository, tolerant=tolerant):
        for pack in named:
            if pack.id in packs and pack.id not in found:
                found[pack.id] = pack.pack
    return found


def remove_packs(repository: Repository, packs: Collection[PackId], check_lock: Callable[[], None]) -> None:
    """Remove packs from the index, and then their files. check_lock raises when the exclusive lock is lost.

    Raises:
        CorruptFileError: an index file cannot be read, and may name them; no file of a pack was removed.
    """
    for index_id, named in _index_files(repository, tolerant=False):
        kept = [pack for pack in named if pack.id not in packs]
        if len(kept) < len(named):
            write_checked(repository, kept, check_lock)
            repository.storage.delete(file_name(INDEX, index_id))
    names = [pack_name(pack) for pack in packs]
    for at in range(0, len(names), _REMOVED_AT_ONCE):
        check_lock()
        repository.storage.delete_many(names[at : at + _REMOVED_AT_ONCE])


def replace_files(
    repository: Repository,
    files: IndexLoader,
    packs: Collection[PackId],
    *,
    check_lock: Callable[[], None],
    check_clock: Callable[[], None],
    sparing: bool = False,
) -> None:
    """Replace the index files that name any of these packs by ones without them.

    files: all that is there, as it was read under this exclusive lock. check_lock, check_clock: raise when the lock is
    lost; the second asks nobody. sparing: with as little space as can be, one file after the other, and none joined.

    Raises:
        LockLostError: some are replaced. StorageFullError, StorageUnavailableError: likewise.
    """
    index = files.index
    small = [
        index_id for index_id in sorted(files.files) if _blobs(index.packs_of(index_id)) < _SMALL_FILE_BLOBS
    ]
    joined = set(small) if len(small) >= _FEW_SMALL_FILES and not sparing else set()
    old = [
        index_id
        for index_id in sorted(files.files)
        if index_id in joined or any(pack.id in packs for pack in index.packs_of(index_id))
    ]
    seen = set(packs)
    waiting: list[PackColumns] = []
    going = deque(old)
    while going:
        index_id = going.popleft()
        for pack in index.packs_of(index_id):
            if pack.id not in seen:
                seen.add(pack.id)
                waiting.append(pack.columns)
        if sparing or not going or sum(len(pack.lengths) for pack in waiting) >= MAX_BLOBS_PER_FILE:
            write_checked(repository, waiting, check_lock)
            waiting = []
        if sparing:
            check_lock()
            repository.storage.delete(file_name(INDEX, index_id))
    for at in range(0, 0 if sparing else len(old), _REMOVED_AT_ONCE):
        check_lock()
        names = (file_name(INDEX, index_id) for index_id in old[at : at + _REMOVED_AT_ONCE])
        repository.storage.delete_many(guarded(names, check_clock))


def write_checked(
    repository: Repository, packs: Sequence[PackColumns], check_lock: Callable[[], None]
) -> list[IndexId]:
    """Store index files between two looks at the lock.

    Raises:
        LockLostError: it is lost. Then none of these files stands that names a pack which is not there: others may have
            pruned right before it was written.
    """
    check_lock()
    written = write_index(repository, packs)
    try:
        check_lock()
    except LockLostError:
        if None in sizes_by_name(repository.storage, [pack.id for pack in packs]).values():
            repository.storage.delete_many(file_name(INDEX, index_id) for index_id in written)
        raise
    return written


def guarded(names: Iterable[str], check_clock: Callable[[], None]) -> Iterator[str]:
    """Names for `delete_many`; before each one the clock says whether our lock may still be there."""
    for name in names:
        check_clock()
        yield name


def _blobs(packs: Sequence[LoggedPack]) -> int:
    return sum(pack.end - pack.first for pack in packs)


def _index_files(repository: Repository, *, tolerant: bool) -> Iterator[tuple[IndexId, list[PackColumns]]]:
    for raw, _ in sorted(list_ids(repository.storage, INDEX)):
        try:
            packs = read_index(repository, IndexId(raw))
        except CorruptFileError:
            if not tolerant:
                raise
            continue
        yield IndexId(raw), packs
