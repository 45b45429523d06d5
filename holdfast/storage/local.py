"""A local directory as storage."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from holdfast.storage.contract import Content, StoredFile


class LocalStorage:
    """Files below `path`."""

    def __init__(self, path: Path, *, hard_links: bool = True) -> None:
        self.path = path

    @property
    def location(self) -> str:
        raise NotImplementedError

    def put(self, name: str, data: Content) -> None:
        raise NotImplementedError

    def put_new(self, name: str, data: Content) -> bool:
        raise NotImplementedError

    def get(self, name: str, *, limit_bytes: int) -> bytes:
        raise NotImplementedError

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        raise NotImplementedError

    def size(self, name: str) -> int:
        raise NotImplementedError

    def size_or_none(self, name: str) -> int | None:
        raise NotImplementedError

    def list(self, folder: str) -> Iterator[StoredFile]:
        raise NotImplementedError

    def delete(self, name: str) -> None:
        raise NotImplementedError

    def delete_folder(self, folder: str) -> None:
        raise NotImplementedError

    def make_folders(self, folders: Iterable[str]) -> None:
        raise NotImplementedError

    def remove_leftovers(self, *, older_than_s: float) -> int:
        raise NotImplementedError
