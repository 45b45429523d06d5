"""A layer hands every call of the contract on to the storage below it; one with a concern overrides what it needs."""

from collections.abc import Iterable, Iterator

from holdfast.storage.contract import Content, Storage, StoredFile, Traits


class Layer:
    """The storage `below`, as it is."""

    def __init__(self, below: Storage) -> None:
        self.below = below

    @property
    def location(self) -> str:
        """See the contract."""
        return self.below.location

    @property
    def settle_s(self) -> float:
        """See the contract."""
        return self.below.settle_s

    @property
    def traits(self) -> Traits:
        """See the contract."""
        return self.below.traits

    def put(self, name: str, data: Content) -> None:
        """See the contract."""
        self.below.put(name, data)

    def put_new(self, name: str, data: Content) -> bool:
        """See the contract."""
        return self.below.put_new(name, data)

    def get(self, name: str, *, limit_bytes: int) -> bytes:
        """See the contract."""
        return self.below.get(name, limit_bytes=limit_bytes)

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        """See the contract."""
        return self.below.get_range(name, offset, length)

    def get_into(self, name: str, buffer: memoryview) -> int:
        """See the contract."""
        return self.below.get_into(name, buffer)

    def get_range_into(self, name: str, offset: int, buffer: memoryview) -> None:
        """See the contract."""
        self.below.get_range_into(name, offset, buffer)

    def size(self, name: str) -> int:
        """See the contract."""
        return self.below.size(name)

    def size_or_none(self, name: str) -> int | None:
        """See the contract."""
        return self.below.size_or_none(name)

    def list(self, folder: str) -> Iterator[StoredFile]:
        """See the contract."""
        return self.below.list(folder)

    def delete(self, name: str) -> None:
        """See the contract."""
        self.below.delete(name)

    def delete_many(self, names: Iterable[str]) -> None:
        """See the contract."""
        self.below.delete_many(names)

    def delete_folder(self, folder: str) -> None:
        """See the contract."""
        self.below.delete_folder(folder)

    def make_folders(self, folders: Iterable[str]) -> None:
        """See the contract."""
        self.below.make_folders(folders)

    def remove_leftovers(self, *, older_than_s: float, dry_run: bool = False) -> int:
        """See the contract."""
        return self.below.remove_leftovers(older_than_s=older_than_s, dry_run=dry_run)

    def close(self) -> None:
        """See the contract."""
        self.below.close()
