"""The doubles of tests/support/doubles.py keep the contract: what they do to the engine, a storage may do."""

from pathlib import Path

import pytest

from holdfast.errors import StorageUnavailableError
from holdfast.storage.contract import Storage
from holdfast.storage.layers.retry import Retrying
from holdfast.storage.local import LocalStorage
from tests.storage.conformance import StorageConformance
from tests.support.doubles import READS, WRITES, Fault, FaultyStorage, LaggingStorage, SlowStorage
from tests.support.memory_storage import MemoryStorage


class TestLaggingStorage(StorageConformance):
    def make(self, tmp_path: Path) -> Storage:
        return LaggingStorage(LocalStorage(tmp_path), settle_s=0.02)


class TestSlowStorage(StorageConformance):
    def make(self, tmp_path: Path) -> Storage:
        return SlowStorage(MemoryStorage())


class TestFailingStorageWithRetries(StorageConformance):
    """Every method fails the first time that it is called, before it has done anything."""

    def make(self, tmp_path: Path) -> Storage:
        faults = [Fault(frozenset({call})) for call in READS | WRITES]
        return Retrying(FaultyStorage(LocalStorage(tmp_path), *faults))


class TestForgetfulStorageWithRetries(StorageConformance):
    """The first answer of every method is lost: what it asked for was done. Only the winner may not learn of it."""

    winners = 0

    def make(self, tmp_path: Path) -> Storage:
        faults = [Fault(frozenset({call}), done=True) for call in READS | WRITES]
        return Retrying(FaultyStorage(LocalStorage(tmp_path), *faults))


def test_a_fault_that_did_not_fire_fails_its_test() -> None:
    with pytest.raises(AssertionError, match="did not fire"), FaultyStorage(MemoryStorage(), Fault(WRITES)):
        pass
    with pytest.raises(AssertionError, match="deleted"), LaggingStorage(MemoryStorage()).armed():
        pass


def test_a_lost_answer_is_lost_after_the_write() -> None:
    with FaultyStorage(MemoryStorage(), Fault(frozenset({"put_new"}), done=True)) as storage:
        with pytest.raises(StorageUnavailableError):
            storage.put_new("a/b", b"mine")
        assert not storage.put_new("a/b", b"mine")
        assert storage.get("a/b", limit_bytes=10) == b"mine"


def test_a_deleted_file_is_listed_until_it_has_settled_and_not_read() -> None:
    now = [0.0]
    storage = LaggingStorage(MemoryStorage(), settle_s=1.0, clock=lambda: now[0])
    storage.put("a/b", b"1")
    storage.delete("a/b")
    with storage.armed():
        assert [stored.name for stored in storage.list("a")] == ["a/b"]
    assert storage.size_or_none("a/b") is None
    now[0] = 1.5
    assert [*storage.list("a")] == []
