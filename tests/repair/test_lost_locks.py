"""Where the exclusive lock is taken away in the middle, nothing more goes; the next repair does the rest."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from holdfast.errors import LockLostError
from holdfast.repair.documents import RepairOrder
from holdfast.repository.locking import LockLease
from holdfast.repository.repository import Repository
from holdfast.repository.session import RepositorySession
from holdfast.storage.local import LocalStorage
from holdfast.terms import RepairKind
from tests.locks.test_pruned_in_between import Freezing
from tests.repair.conftest import quick_session
from tests.support.comparison import plant, restic
from tests.support.doubles import Watched
from tests.support.engine import PASSWORD, EngineRun, new_session
from tests.support.repair import repair

ResultT = TypeVar("ResultT")
ORDERS = (
    RepairOrder(kind=RepairKind.INDEX, read_all_packs=True),
    RepairOrder(kind=RepairKind.SNAPSHOTS, forget=True),
    RepairOrder(kind=RepairKind.PACKS),
)


class Unlocked(Watched):
    """A person removes all locks right after the first write under a folder."""

    def __init__(self, path: Path, folder: str) -> None:
        super().__init__(LocalStorage(path))
        self._path = path
        self._folder = folder

    def request(self, call: str, name: str, send: Callable[[], ResultT]) -> ResultT:
        answer = send()
        if call == "put" and name.startswith(self._folder):
            for lock in (self._path / "locks").iterdir():
                lock.unlink()
        return answer


@pytest.mark.parametrize(
    ("order", "folder"),
    list(zip(ORDERS, ("index/", "snapshots/", "index/"), strict=True)),
    ids=lambda value: value.kind.value if isinstance(value, RepairOrder) else "",
)
def test_nothing_goes_once_the_lock_has_gone(tmp_path: Path, order: RepairOrder, folder: str) -> None:
    source, path = tmp_path / "source", tmp_path / "repository"
    source.mkdir()
    plant(source, files=6)
    with new_session(path) as session:
        EngineRun.of(session, source).run()
    damage(path, order.kind)
    kept = [
        file for name in ("index", "data", "snapshots") for file in (path / name).rglob("*") if file.is_file()
    ]
    session = RepositorySession(Repository.open(Unlocked(path, folder), PASSWORD))
    session.lease = LockLease(session.repository, linger_s=0.0)
    with pytest.raises(LockLostError):
        repair(session, order)
    session.close()
    assert all(file.exists() for file in kept)
    with quick_session(path) as session:
        repair(session, order)
        repair(session, RepairOrder(kind=RepairKind.SNAPSHOTS, forget=True))
    assert "no errors were found" in restic(path, PASSWORD, "check", "--read-data")


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.kind.value)
def test_no_index_file_stands_that_names_what_another_has_pruned(tmp_path: Path, order: RepairOrder) -> None:
    """A person removes all locks right before the first index file is stored, and prunes packs of no index."""
    source, path = tmp_path / "source", tmp_path / "repository"
    source.mkdir()
    plant(source, files=6)
    with new_session(path) as session:
        EngineRun.of(session, source).run()
    damage(path, order.kind)
    if order.kind is RepairKind.INDEX:
        for file in (path / "index").iterdir():
            file.unlink()
    before = set((path / "index").iterdir())
    named = set((path / "data").glob("*/*")) if before else set()

    def prune() -> None:
        for lock in (path / "locks").iterdir():
            lock.unlink()
        for pack in set((path / "data").glob("*/*")) - named:
            pack.unlink()

    storage = Freezing(path, prune, folder="index/")
    with quick_session(storage) as session, pytest.raises(LockLostError):
        repair(session, order)
    assert storage.frozen
    assert set((path / "index").iterdir()) == before


def damage(path: Path, kind: RepairKind) -> None:
    """What the repair has something to do with."""
    pack = max((path / "data").glob("*/*"), key=lambda file: file.stat().st_size)
    if kind is RepairKind.SNAPSHOTS:
        pack.unlink()
        with quick_session(path) as session:
            repair(session, RepairOrder(kind=RepairKind.INDEX))
    elif kind is RepairKind.PACKS:
        pack.chmod(0o600)
        with pack.open("r+b") as file:
            file.truncate(pack.stat().st_size - 100)
