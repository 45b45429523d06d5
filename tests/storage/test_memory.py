"""MemoryStorage keeps the contract."""

from pathlib import Path

from holdfast.storage.contract import Storage
from tests.storage.conformance import StorageConformance
from tests.support.memory_storage import MemoryStorage


class TestMemoryStorage(StorageConformance):
    def make(self, tmp_path: Path) -> Storage:
        return MemoryStorage()
