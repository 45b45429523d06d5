"""Requests of a run, counted: they cost money, and 30 to 100 ms each."""

import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from holdfast.crypto.kdf import ScryptParameters
from holdfast.repository.companion import join_companion
from holdfast.repository.index.shared import SharedIndex
from holdfast.repository.lock_notes import LockNotes
from holdfast.repository.repository import Repository
from holdfast.repository.session import RepositorySession
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
    """One process, as a command's only worker. More is a change that has to say why."""
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
    assert (first <= 30, unchanged <= 20, verify <= 30, restore <= 30) == (True,) * 4, shown
