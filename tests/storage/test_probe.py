"""The probe finds what a place cannot do, and leaves nothing there."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from holdfast.errors import StorageDeniedError, StorageUnavailableError
from holdfast.storage.contract import Content, Storage, StoredFile, parts_of
from holdfast.storage.layers.layer import Layer
from holdfast.storage.local import LocalStorage
from holdfast.storage.probe import probe, refuse_unfit
from tests.support.doubles import Fault, FaultyStorage, LaggingStorage, ResticOnlyStorage
from tests.support.memory_storage import MemoryStorage


def failing(storage: Storage) -> dict[str, str]:
    return {found.subject: found.what for found in probe(storage).findings if not found.well}


@pytest.mark.parametrize("make", [MemoryStorage, lambda: LaggingStorage(MemoryStorage(), settle_s=0.05)])
def test_a_place_that_keeps_the_contract_is_well(make: Callable[[], Storage]) -> None:
    storage = make()
    assert failing(storage) == {}
    time.sleep(storage.settle_s)
    assert [*storage.list("holdfast")] == []


def test_a_directory_is_well_and_left_as_it_was(tmp_path: Path) -> None:
    probed = probe(LocalStorage(tmp_path))
    assert probed.holds_a_repository
    assert probed.creates
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


class KeepsTrailers(Layer):
    """Stores a checksum's trailer in the file (velero issue 9951)."""

    def put(self, name: str, data: Content) -> None:
        self.below.put(name, [b"10000\r\n", *parts_of(data)])


class IgnoresCreateOnly(Layer):
    def put_new(self, name: str, data: Content) -> bool:
        self.below.put(name, data)
        return True


class ListsLate(Layer):
    def list(self, folder: str) -> Iterator[StoredFile]:
        return iter(())


class NeverReplaces(Layer):
    """An object lock refuses to replace and to delete."""

    def put(self, name: str, data: Content) -> None:
        if self.below.size_or_none(name) is not None:
            raise StorageDeniedError("locked until 2030")
        self.below.put(name, data)

    def delete_folder(self, folder: str) -> None:
        raise StorageDeniedError("locked until 2030")


class ClockIsWrong(Layer):
    def list(self, folder: str) -> Iterator[StoredFile]:
        for stored in self.below.list(folder):
            yield StoredFile(stored.name, stored.size_bytes, stored.modified_ns - 3_600_000_000_000)


@pytest.mark.parametrize(
    ("layer", "subjects", "holds"),
    [
        (KeepsTrailers, {"written", "ranges", "replaces"}, False),
        (IgnoresCreateOnly, {"creates"}, True),
        (ListsLate, {"listed"}, False),
        (NeverReplaces, {"replaces", "deletes"}, True),
        (ClockIsWrong, {"clock"}, True),
    ],
)
def test_what_a_place_cannot_do_is_found(
    layer: Callable[[Storage], Storage], subjects: set[str], *, holds: bool
) -> None:
    probed = probe(layer(MemoryStorage()))
    assert {found.subject for found in probed.findings if not found.well} == subjects
    assert probed.holds_a_repository is holds


def test_a_new_repository_is_refused_where_it_cannot_lie() -> None:
    refuse_unfit(MemoryStorage(), has_companion=False)
    with pytest.raises(StorageDeniedError, match="read back differently"):
        refuse_unfit(KeepsTrailers(MemoryStorage()), has_companion=True)
    for layer in (IgnoresCreateOnly, NeverReplaces):
        with pytest.raises(StorageDeniedError, match="cannot hold a repository"):
            refuse_unfit(layer(MemoryStorage()), has_companion=False)
        refuse_unfit(layer(MemoryStorage()), has_companion=True)


def test_a_place_that_does_not_answer_is_no_finding() -> None:
    faulty = FaultyStorage(MemoryStorage(), Fault(frozenset({"get"}), at=0))
    with pytest.raises(StorageUnavailableError):
        probe(faulty)


def test_a_place_of_restics_names_only_is_read_only() -> None:
    below = MemoryStorage()
    assert failing(ResticOnlyStorage(below)) == {}
    assert [*below.list("data")] == []
