"""This layer keeps what is written in memory, over a storage that is not changed: a dry run reads there what it wrote.

Of packs the size alone is kept, so that memory holds the documents of a run and its new index, and no data. All layers
of one run share what is kept. What would be removed is hidden.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from holdfast.errors import CorruptFileError, StoredFileMissingError
from holdfast.storage.contract import Content, Storage, StoredFile, Traits, check_name, parts_of
from holdfast.storage.layers.layer import Layer


@dataclass(slots=True)
class Kept:
    """What a dry run has written: files, sizes of packs; and the names of what it has removed.

    sizes_alone: how names begin of files that are not kept themselves; empty for none.
    """

    sizes_alone: str = "data/"
    files: dict[str, bytes] = field(default_factory=dict)
    packs: dict[str, int] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)

    def size(self, name: str) -> int | None:
        """Of a file that is kept; None for any other."""
        file = self.files.get(name)
        return self.packs.get(name) if file is None else len(file)


class Dry(Layer):
    """`below`, and what is kept above it."""

    def __init__(self, below: Storage, kept: Kept) -> None:
        super().__init__(below)
        self._kept = kept

    @property
    def traits(self) -> Traits:
        """See the contract. All names will do, and documents can lie here, whatever the storage takes."""
        return replace(self.below.traits, creates_only=True, replaces=True, any_name=True)

    def put(self, name: str, data: Content) -> None:
        """See the contract."""
        kept, parts = self._kept, parts_of(data)
        kept.removed.discard(check_name(name))
        if kept.sizes_alone and name.startswith(kept.sizes_alone):
            kept.packs[name] = sum(map(len, parts))
        else:
            kept.files[name] = b"".join(parts)

    def put_new(self, name: str, data: Content) -> bool:
        """See the contract."""
        if self.size_or_none(name) is not None:
            return False
        self.put(name, data)
        return True

    def get(self, name: str, *, limit_bytes: int) -> bytes:
        """See the contract."""
        file = self._kept.files.get(name)
        if file is None:
            return self._below(name).get(name, limit_bytes=limit_bytes)
        if len(file) > limit_bytes:
            raise CorruptFileError(f"{self.location}: {name} is larger than {limit_bytes} bytes")
        return file

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        """See the contract."""
        file = self._kept.files.get(name)
        if file is None:
            return self._below(name).get_range(name, offset, length)
        if offset + length > len(file):
            raise CorruptFileError(f"{self.location}: {name} ends before byte {offset + length}")
        return file[offset : offset + length]

    def get_into(self, name: str, buffer: memoryview) -> int:
        """See the contract."""
        file = self.get(name, limit_bytes=len(buffer))
        buffer[: len(file)] = file
        return len(file)

    def get_range_into(self, name: str, offset: int, buffer: memoryview) -> None:
        """See the contract."""
        buffer[:] = self.get_range(name, offset, len(buffer))

    def size(self, name: str) -> int:
        """See the contract."""
        kept = self._kept.size(name)
        return self._below(name).size(name) if kept is None else kept

    def size_or_none(self, name: str) -> int | None:
        """See the contract."""
        kept = self._kept.size(name)
        if kept is not None or check_name(name) in self._kept.removed:
            return kept
        return self.below.size_or_none(name)

    def list(self, folder: str) -> Iterator[StoredFile]:
        """See the contract."""
        check_name(folder)
        now_ns = time.time_ns()
        kept = {
            name: self._kept.size(name) or 0
            for name in (*self._kept.files, *self._kept.packs)
            if name.startswith(f"{folder}/")
        }
        for stored in self.below.list(folder):
            if stored.name not in kept and stored.name not in self._kept.removed:
                yield stored
        yield from (StoredFile(name, size, now_ns) for name, size in kept.items())

    def delete(self, name: str) -> None:
        """See the contract."""
        self._kept.files.pop(check_name(name), None)
        self._kept.packs.pop(name, None)
        self._kept.removed.add(name)

    def delete_many(self, names: Iterable[str]) -> None:
        """See the contract."""
        for name in names:
            self.delete(name)

    def delete_folder(self, folder: str) -> None:
        """See the contract."""
        self.delete_many([stored.name for stored in self.list(folder)])

    def make_folders(self, folders: Iterable[str]) -> None:
        """See the contract."""
        for folder in folders:
            check_name(folder)

    def remove_leftovers(self, *, older_than_s: float, dry_run: bool = False) -> int:  # noqa: ARG002 -- the contract's
        """Nothing is removed."""
        return 0

    def _below(self, name: str) -> Storage:
        """Where a file is that is not kept.

        Raises:
            StoredFileMissingError: it was removed, or of it the size alone is kept.
        """
        if check_name(name) in self._kept.removed or name in self._kept.packs:
            raise StoredFileMissingError(f"{self.location}: a dry run keeps no {name}")
        return self.below
