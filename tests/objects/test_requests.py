"""Requests of a run, counted: they cost money, and 30 to 100 ms each."""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from holdfast.crypto.kdf import ScryptParameters
from holdfast.repository.caching import join_cache
from holdfast.repository.companion import join_companion
from holdfast.repository.index.shared import SharedIndex
from holdfast.repository.lock_notes import LockNotes
from holdfast.repository.repository import Repository
from holdfast.repository.session import RepositorySession
from holdfast.storage.cache import Cache
from holdfast.storage.credentials import fixed
from holdfast.storage.locations import open_storage
from tests.support.comparison import same
from tests.support.engine import PASSWORD
from tests.support.persistent import back_up, restored, verified
from tests.support.proxy import Proxy
from tests.support.seaweed import Seaweed

MIB = 1 << 20


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """300 small files and one of 40 MiB: five packs."""
    top = tmp_path / "source"
    top.mkdir()
    random = Random(1)
    for number in range(300):
        (top / f"small-{number}").write_bytes(random.randbytes(3000))
    (top / "large").write_bytes(random.randbytes(40 * MIB))
    return top


def test_a_run_asks_for_no_more_than_it_did(
    proxy: Proxy, seaweed: Seaweed, prefix: str, source: Path, tmp_path: Path
) -> None:
    """One process, as a command's only worker, without a cache. More is a change that has to say why."""
    storage = open_storage(proxy.location(prefix), fixed(seaweed.environ))
    memory = SharedIndex.create_file()

    def counted(work: Callable[[RepositorySession], object]) -> int:
        proxy.requests.clear()
        repository = Repository.open(storage, PASSWORD)
        join_companion(repository, "", tmp_path / "state", own_server=True)
        session = RepositorySession(
            repository,
            shared_index=SharedIndex(memory),
            one_host=True,
            lock_notes=LockNotes(tmp_path / "notes"),
        )
        work(session)
        session.remove_dead_locks()
        session.close()
        shown.append(dict(proxy.requests))
        return proxy.requests.total()

    shown: list[object] = []
    Repository.init(storage, PASSWORD, kdf=ScryptParameters.for_tests())
    first = counted(lambda session: back_up(session, source, "first"))
    unchanged = counted(lambda session: back_up(session, source, "second"))
    verify = counted(lambda session: verified(session, "verify"))
    restore = counted(lambda session: restored(session, source, tmp_path / "target"))
    assert same(source, tmp_path / "target")
    os.close(memory)
    assert proxy.requests["PUT", "holdfast"] == 0
    assert (first <= 25, unchanged <= 20, verify <= 26, restore <= 25) == (True,) * 4, shown


def test_what_is_near_is_not_asked_for(
    proxy: Proxy, seaweed: Seaweed, prefix: str, source: Path, tmp_path: Path
) -> None:
    """The same runs, each as of another process, with and without this host's cache."""
    storage = open_storage(proxy.location(prefix), fixed(seaweed.environ))
    Repository.init(storage, PASSWORD, kdf=ScryptParameters.for_tests())
    for number in range(60):
        (source / f"directory-{number}").mkdir()
        (source / f"directory-{number}" / "file").write_bytes(bytes([number]) * 100)

    def counted(cache: Cache | None, work: Callable[[RepositorySession], object]) -> Counter[tuple[str, str]]:
        proxy.requests.clear()
        repository = Repository.open(storage, PASSWORD)
        join_cache(repository, cache)
        session = RepositorySession(repository)
        work(session)
        session.close()
        return proxy.requests.copy()

    def backup(run: str) -> Callable[[RepositorySession], object]:
        return lambda session: back_up(session, source, run)

    def restore(run: str) -> Callable[[RepositorySession], object]:
        return lambda session: restored(session, source, tmp_path / run)

    cache = Cache(tmp_path / "cache", 256 * MIB)
    for number in range(4):  # a history, whose index files and snapshots are read as well
        (source / "small-0").write_bytes(bytes([number]) * 1000)
        counted(cache, backup(f"run-{number}"))
    for name, work in (("backup", backup), ("restore", restore)):
        without, near = counted(None, work(f"{name}-without")), counted(cache, work(f"{name}-near"))
        spared = without - near
        print(f"{name}: {without.total()} requests, {near.total()} with the cache")  # noqa: T201 - what it measured
        assert spared["GET", "index"] >= 4, (without, near)
        assert spared["GET", "snapshots"] >= 3, (without, near)
        assert spared["GET", "data"] >= 1, (without, near)
        assert near["GET", "data"] <= 2 or name == "restore", "what the run without has stored"
        assert near.total() <= without.total() - 8
