"""Packs are taken out of the index: index files never change, so those that name such packs are replaced.

    1. for each index file that names such a pack, one without it is written: now both stand, and repeat entries;
    2. the old file is removed: a client that has read it sees that it is gone, and reads again (session.py);
    3. now nothing names the packs, and their files may go.

A crash leaves at worst both files, or packs in no index; doing it again finishes it. Only under the exclusive lock:
another client may rely on the packs, or write an index file while the folder is listed.

One index file is in memory at a time, so the size of the repository does not matter.
"""

from collections.abc import Callable, Collection, Iterator
from typing import Final

from holdfast.errors import CorruptFileError
from holdfast.format.index import IndexPack, PackColumns
from holdfast.ids import IndexId, PackId
from holdfast.repository.index.files import read_index, write_index
from holdfast.repository.layout import INDEX, file_name, list_ids, pack_name
from holdfast.repository.repository import Repository

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
            check_lock()
            write_index(repository, kept)
            check_lock()
            repository.storage.delete(file_name(INDEX, index_id))
    names = [pack_name(pack) for pack in packs]
    for at in range(0, len(names), _REMOVED_AT_ONCE):
        check_lock()
        repository.storage.delete_many(names[at : at + _REMOVED_AT_ONCE])


def _index_files(repository: Repository, *, tolerant: bool) -> Iterator[tuple[IndexId, list[PackColumns]]]:
    for raw, _ in sorted(list_ids(repository.storage, INDEX)):
        try:
            packs = read_index(repository, IndexId(raw))
        except CorruptFileError:
            if not tolerant:
                raise
            continue
        yield IndexId(raw), packs
