"""This layer keeps copies of a repository's files near, where the name of a file is the hash of its content.

What a storage says is still what the storage says; the cache only spares the bytes:

- A *listed* file (index, snapshot) comes from the cache once for each listing that has shown it, and only in the size
  that the listing said. So a file that was deleted is as gone as without a cache, and a second look,
  because what came was wrong, is one into the store.
- A pack of trees is fetched whole at the first read of a part of it, and all further parts come from the cache. That it
  is there is the index's word, which is believed under the lock. Packs of data are never kept: only the layer that
  trees are read through (`packs`) fetches and keeps packs.
- What is written through the layer is kept, after the store has it. What is deleted through it is dropped.
- All else goes to the store: config, keys, locks, documents of runs, and what has no hash for a name.

Only what has the hash that its name says is kept; and the cache gives out only what it was given (storage/cache.py).
"""

import hashlib
import threading
from collections.abc import Iterable, Iterator
from typing import Final

from holdfast.errors import CorruptFileError
from holdfast.ids import is_hex_id
from holdfast.storage.cache import Cache
from holdfast.storage.contract import Content, Storage, StoredFile, parts_of
from holdfast.storage.layers.layer import Layer

_FETCHED_AT_ONCE: Final = 2
"""Whole packs, of one process."""
_LARGEST_PACK_BYTES: Final = 32 * 1024 * 1024
"""Of a larger one (packs may have 128 MiB), parts are read as without a cache."""


class Cached(Layer):
    """`below`, with copies of the repository's files in a cache.

    listed, packs_in: the first parts of names of files that are listed and read whole, and of packs. packs: whether
    packs are read and written through this one.
    """

    def __init__(
        self,
        below: Storage,
        cache: Cache,
        repository: str,
        *,
        listed: frozenset[str],
        packs_in: str,
        packs: bool,
    ) -> None:
        super().__init__(below)
        self._cache = cache
        self._repository = repository
        self._folders = listed | {packs_in}
        self._packs_in = packs_in
        self._packs = packs
        self._shown: dict[str, dict[str, int]] = {folder: {} for folder in listed}
        self._by_parts: set[str] = set()
        self._fetching = [threading.Lock() for _ in range(_FETCHED_AT_ONCE)]

    def put(self, name: str, data: Content) -> None:
        """See the contract."""
        self.below.put(name, data)
        if self._packs or not name.startswith(f"{self._packs_in}/"):
            self._keep(name, data)

    def get(self, name: str, *, limit_bytes: int) -> bytes:
        """See the contract."""
        entry = self._entry(name)
        shown = self._shown.get(name.partition("/")[0])
        if entry is None or shown is None:
            return self.below.get(name, limit_bytes=limit_bytes)
        size = shown.pop(name, None)
        if size is not None and size <= limit_bytes:
            found = self._cache.read(entry)
            if found is not None and len(found) == size:
                return found
        content = self.below.get(name, limit_bytes=limit_bytes)
        self._keep(name, content)
        return content

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        """See the contract."""
        entry = self._entry(name) if self._packs else None
        if entry is None or not length or not name.startswith(f"{self._packs_in}/"):
            return self.below.get_range(name, offset, length)
        found = self._cache.read(entry, offset, length)
        if found is None and name not in self._by_parts:
            found = self._fetch(name, entry, offset, length)
        return self.below.get_range(name, offset, length) if found is None else found

    def list(self, folder: str) -> Iterator[StoredFile]:
        """See the contract."""
        shown = self._shown.get(folder)
        if shown is None:
            yield from self.below.list(folder)
            return
        names = set()
        for stored in self.below.list(folder):
            names.add(stored.name)
            shown[stored.name] = stored.size_bytes
            yield stored
        for name in [name for name in shown if name not in names]:
            shown.pop(name, None)

    def delete(self, name: str) -> None:
        """See the contract."""
        self.below.delete(name)
        self._drop([name])

    def delete_many(self, names: Iterable[str]) -> None:
        """See the contract. What was handed on is dropped also where it may not have been deleted."""
        handed: list[str] = []

        def noted() -> Iterator[str]:
            for name in names:
                handed.append(name)
                yield name

        try:
            self.below.delete_many(noted())
        finally:
            self._drop(handed)

    def delete_folder(self, folder: str) -> None:
        """See the contract."""
        is_cached = folder.partition("/")[0] in self._folders
        names = [stored.name for stored in self.below.list(folder)] if is_cached else []
        self.below.delete_folder(folder)
        self._drop(names)

    def _fetch(self, name: str, entry: str, offset: int, length: int) -> bytes | None:
        """Fetch a pack for the cache; the part of it. Where it cannot be kept, further parts are read by themselves."""
        with self._fetching[hash(name) % _FETCHED_AT_ONCE]:
            found = self._cache.read(entry, offset, length)  # another thread may have fetched it since
            if found is not None:
                return found
            try:
                whole = self.below.get(name, limit_bytes=_LARGEST_PACK_BYTES)
            except CorruptFileError:
                whole = b""
            if not self._keep(name, whole):
                self._by_parts.add(name)
            return whole[offset : offset + length] if offset + length <= len(whole) else None

    def _keep(self, name: str, data: Content) -> bool:
        """Add a file to the cache, if it is what its name says; whether it is there now."""
        entry = self._entry(name)
        if entry is None:
            return False
        parts = parts_of(data)
        digest = hashlib.sha256()
        for part in parts:
            digest.update(part)
        return digest.hexdigest() == entry.rpartition("/")[2] and self._cache.keep(entry, parts)

    def _drop(self, names: Iterable[str]) -> None:
        for name in names:
            entry = self._entry(name)
            if entry is not None:
                self._shown.get(name.partition("/")[0], {}).pop(name, None)
                self._cache.drop(entry)

    def _entry(self, name: str) -> str | None:
        """What a file is called in the cache; None for one that never goes there."""
        folder, _, rest = name.partition("/")
        file = rest.rpartition("/")[2]
        return f"{self._repository}/{folder}/{file}" if folder in self._folders and is_hex_id(file) else None
