"""Take packs out of the repository's index: index files never change, so those that name them are replaced.

    1. for each index file that names such a pack, one without it is written: now both stand, and repeat entries;
    2. the old file is removed: who has read it sees that it is gone, and reads the index anew (session.py);
    3. now nothing names the packs any more, and their files may go.

A crash leaves at worst both files, or packs in no index; doing it again finishes it. Only under the exclusive lock:
somebody else may rely on the packs, or write an index file while the folder is listed.
"""

from collections.abc import Callable, Collection, Iterator

from holdfast.errors import CorruptFileError
from holdfast.format.index import IndexPack, decode_index
from holdfast.ids import IndexId, PackId
from holdfast.repository.index_files import INDEX_LIMIT_BYTES, write_index
from holdfast.repository.layout import INDEX, file_name, list_ids, pack_name
from holdfast.repository.repository import Repository


def entries_of(repository: Repository, packs: Collection[PackId]) -> dict[PackId, IndexPack]:
    """What the index says about these packs; those that it does not name are left out."""
    found: dict[PackId, IndexPack] = {}
    for _, named in _index_files(repository):
        for pack in named:
            if pack.id in packs:
                found.setdefault(pack.id, pack)
    return found


def remove_packs(repository: Repository, packs: Collection[PackId], check_lock: Callable[[], None]) -> None:
    """Remove packs from the index, and then their files. check_lock raises when the exclusive lock is lost."""
    for index_id, named in list(_index_files(repository)):
        kept = [pack for pack in named if pack.id not in packs]
        if len(kept) < len(named):
            check_lock()
            write_index(repository, kept)
            check_lock()
            repository.storage.delete(file_name(INDEX, index_id))
    for pack_id in packs:
        check_lock()
        repository.storage.delete(pack_name(pack_id))


def _index_files(repository: Repository) -> Iterator[tuple[IndexId, list[IndexPack]]]:
    for raw, _ in sorted(list_ids(repository.storage, INDEX)):
        json = repository.load_file(INDEX, raw, limit_bytes=INDEX_LIMIT_BYTES)
        try:
            yield IndexId(raw), decode_index(json)
        except CorruptFileError as error:
            raise CorruptFileError(f"{file_name(INDEX, raw)}: {error.message}", hint=error.hint) from error
