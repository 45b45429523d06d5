"""A reserve is space that a repository keeps for the prune that is to free its full disk (restic#3582).

Such a prune copies nothing, but it writes: a lock, what trees use, lists of packs, and index files, each before its
predecessor goes. The reserve is files of random bytes, `holdfast/reserve/<number>`, in the repository's own storage,
where that is a directory of this host. Each prune leaves it, as large as the next one may need.

    1. a write of that prune finds the disk full: nothing has changed;
    2. pieces of the reserve go, as many as the write is large, and it is sent again. Not all of them at once: whoever
       waits for space as well would take it. A crash leaves a smaller reserve;
    3. at its end the missing pieces are written again, if there is room for four times as much. A crash leaves some.

Nobody needs a piece, so they are written and removed without a lock.
"""

import os
from collections.abc import Callable
from typing import Final, TypeVar

from holdfast.errors import StorageFullError
from holdfast.repository.repository import Repository
from holdfast.storage.contract import Content, Storage
from holdfast.storage.layers.layer import Layer

RESERVE: Final = "holdfast/reserve"
PIECE_BYTES: Final = 1 << 20
_LEAST_BYTES: Final = 4 << 20
"""An index file with 50,000 blobs, and all that does not grow with the repository."""
_BYTES_PER_BLOB: Final = 64
"""Its id once in what trees use, and as much again for lists of packs and for documents of an attempt that failed."""
_ROOM: Final = 4
T = TypeVar("T")


def keep_reserve(repository: Repository, blobs: int) -> None:
    """Have a reserve for a prune of so many blobs, as far as there is room.

    Raises:
        StorageDeniedError, StorageUnavailableError: from the storage.
    """
    storage = repository.storage
    directory = storage.traits.directory
    if directory is None or not storage.traits.keeps_documents:
        return
    wanted = -(-(_LEAST_BYTES + _BYTES_PER_BLOB * blobs) // PIECE_BYTES)
    there = {file.name for file in storage.list(RESERVE)}
    missing = [name for name in map(_name, range(wanted)) if name not in there]
    for number, name in enumerate(missing):
        left_bytes = (len(missing) - number) * PIECE_BYTES
        status = os.statvfs(directory)
        if status.f_bavail * status.f_frsize < _ROOM * left_bytes:
            return
        storage.put(name, os.urandom(PIECE_BYTES))


def drawing_on_reserve(repository: Repository) -> Repository:
    """The same repository, whose writes take from the reserve where the disk is full."""
    storage = repository.storage
    drawing = Repository(_Drawing(storage), repository.config, repository.key, repository.key_id)
    drawing.is_private, drawing.cache_dir = repository.is_private, repository.cache_dir
    if repository.companion is not storage:
        drawing.companion = repository.companion
    if repository.workspaces is not repository.companion:
        drawing.workspaces = repository.workspaces
    return drawing


class _Drawing(Layer):
    """The storage below; a write that finds it full is sent again while there is a reserve."""

    def __init__(self, below: Storage) -> None:
        super().__init__(below)

    def put(self, name: str, data: Content) -> None:
        """See the contract."""
        self._drawn(lambda: self.below.put(name, data), _size(data))

    def put_new(self, name: str, data: Content) -> bool:
        """See the contract."""
        return self._drawn(lambda: self.below.put_new(name, data), _size(data))

    def _drawn(self, write: Callable[[], T], size_bytes: int) -> T:
        while True:
            try:
                return write()
            except StorageFullError:
                pieces = [file.name for file in self.below.list(RESERVE)]
                if not pieces:
                    raise
                self.below.delete_many(pieces[: 1 + size_bytes // PIECE_BYTES])


def _name(number: int) -> str:
    return f"{RESERVE}/{number:06d}"


def _size(data: Content) -> int:
    parts = data if isinstance(data, list | tuple) else (data,)
    return sum(memoryview(part).nbytes for part in parts)
