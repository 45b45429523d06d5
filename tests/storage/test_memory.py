"""MemoryStorage keeps the contract."""

from pathlib import Path

from holdfast.storage.contract import Storage
from holdfast.storage.memory import MemoryStorage
from tests.storage.conformance import StorageConformance


class TestMemoryStorage(StorageConformance):
    def make(self, tmp_path: Path) -> Storage:
        return MemoryStorage()
