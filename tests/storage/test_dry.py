"""The layer of dry runs keeps the contract, and changes nothing below it."""

from pathlib import Path

import pytest

from holdfast.errors import StoredFileMissingError
from holdfast.storage.contract import Storage
from holdfast.storage.layers.dry import Dry, Kept
from tests.storage.conformance import StorageConformance
from tests.support.memory_storage import MemoryStorage


class TestDry(StorageConformance):
    def make(self, tmp_path: Path) -> Storage:
        return Dry(MemoryStorage(), Kept(sizes_alone=""))


def test_what_lies_below_is_seen_and_not_changed() -> None:
    below = MemoryStorage()
    below.put("index/a", b"below")
    below.put("index/b", b"below too")
    dry = Dry(below, Kept())
    dry.put("index/a", b"above")
    dry.delete("index/b")
    assert dry.put_new("index/b", b"again")
    assert not dry.put_new("index/a", b"")
    dry.delete("index/b")
    assert [(stored.name, stored.size_bytes) for stored in dry.list("index")] == [("index/a", 5)]
    assert dry.size_or_none("index/b") is None
    with pytest.raises(StoredFileMissingError):
        dry.get("index/b", limit_bytes=100)
    assert {stored.name: stored.size_bytes for stored in below.list("index")} == {"index/a": 5, "index/b": 9}


def test_of_a_pack_the_size_is_kept() -> None:
    kept = Kept()
    dry = Dry(MemoryStorage(), kept)
    dry.put("data/00/pack", [b"1234", b"5678"])
    assert dry.size("data/00/pack") == 8
    assert not kept.files
    with pytest.raises(StoredFileMissingError):
        dry.get_range("data/00/pack", 0, 1)
