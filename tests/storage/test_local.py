"""LocalStorage keeps the contract, with and without hard links."""

from pathlib import Path

from holdfast.storage.contract import Storage
from holdfast.storage.local import LocalStorage
from tests.storage.conformance import StorageConformance


class TestLocalStorage(StorageConformance):
    def make(self, tmp_path: Path) -> Storage:
        return LocalStorage(tmp_path / "repository")


class TestLocalStorageWithoutHardLinks(StorageConformance):
    def make(self, tmp_path: Path) -> Storage:
        return LocalStorage(tmp_path / "repository", hard_links=False)
