"""A layer over a repository that is only read, with a place beside it for what Holdfast writes of its own.

A copy on a read-only medium is what one has after a disaster, and a restore must be able to remember how far it is. So
documents of runs and marks of damage (names under `holdfast/`) are written to a folder of the state directory, and
read from there first. Every other write is refused: who has no lock changes nothing.
"""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from holdfast.errors import StorageDeniedError, StoredFileMissingError
from holdfast.storage.contract import Content, Storage, StoredFile
from holdfast.storage.layers.layer import Layer
from holdfast.storage.local import LocalStorage

_OWN: Final = "holdfast/"
_FOLDER: Final = "beside"
_DIGITS: Final = 32


def beside(storage: Storage, state_dir: Path) -> "BesideStorage":
    """The storage for reading only. What is written beside it stays in the state directory, by its location."""
    name = hashlib.sha256(storage.location.encode("utf-8", "surrogateescape")).hexdigest()[:_DIGITS]
    return BesideStorage(storage, LocalStorage(state_dir / _FOLDER / name))


class BesideStorage(Layer):
    """`below` for reading, and `side` for what is ours."""

    def __init__(self, below: Storage, side: Storage) -> None:
        super().__init__(below)
        self._side = side

    def put(self, name: str, data: Content) -> None:
        """See the contract."""
        self._ours(name).put(name, data)

    def put_new(self, name: str, data: Content) -> bool:
        """See the contract."""
        side = self._ours(name)
        return self.below.size_or_none(name) is None and side.put_new(name, data)

    def get(self, name: str, *, limit_bytes: int) -> bytes:
        """See the contract."""
        if name.startswith(_OWN):
            try:
                return self._side.get(name, limit_bytes=limit_bytes)
            except StoredFileMissingError:
                pass
        return self.below.get(name, limit_bytes=limit_bytes)

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        """See the contract."""
        return self._holder(name).get_range(name, offset, length)

    def get_into(self, name: str, buffer: memoryview) -> int:
        """See the contract."""
        return self._holder(name).get_into(name, buffer)

    def get_range_into(self, name: str, offset: int, buffer: memoryview) -> None:
        """See the contract."""
        self._holder(name).get_range_into(name, offset, buffer)

    def size(self, name: str) -> int:
        """See the contract."""
        return self._holder(name).size(name)

    def size_or_none(self, name: str) -> int | None:
        """See the contract."""
        return self._holder(name).size_or_none(name)

    def list(self, folder: str) -> Iterator[StoredFile]:
        """See the contract."""
        if not f"{folder}/".startswith(_OWN):
            return self.below.list(folder)
        found = {stored.name: stored for stored in self.below.list(folder)}
        found.update((stored.name, stored) for stored in self._side.list(folder))
        return iter(list(found.values()))

    def delete(self, name: str) -> None:
        """See the contract. What an earlier run has left in the repository itself stays there."""
        self._ours(name).delete(name)

    def delete_many(self, names: Iterable[str]) -> None:
        """See the contract. As `delete`."""
        for name in names:
            self.delete(name)

    def delete_folder(self, folder: str) -> None:
        """See the contract. As `delete`."""
        self._ours(f"{folder}/").delete_folder(folder)

    def make_folders(self, folders: Iterable[str]) -> None:
        """See the contract."""
        for folder in folders:
            self._ours(f"{folder}/").make_folders((folder,))

    def remove_leftovers(self, *, older_than_s: float, dry_run: bool = False) -> int:
        """See the contract."""
        return self._side.remove_leftovers(older_than_s=older_than_s, dry_run=dry_run)

    def close(self) -> None:
        """See the contract."""
        self._side.close()
        self.below.close()

    def _holder(self, name: str) -> Storage:
        ours = name.startswith(_OWN) and self._side.size_or_none(name) is not None
        return self._side if ours else self.below

    def _ours(self, name: str) -> Storage:
        if not name.startswith(_OWN):
            raise StorageDeniedError(
                f"{self.location}: opened for reading only, and without a lock: {name} is not written",
                hint="Use a repository that can be written, without --no-lock.",
            )
        return self._side
