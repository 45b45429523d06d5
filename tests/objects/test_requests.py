"""Requests of a run, counted: they cost money, and 30 to 100 ms each."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from holdfast.crypto.kdf import ScryptParameters
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

    def counted(work: Callable[[RepositorySession], object]) -> int:
        proxy.requests.clear()
        session = RepositorySession(Repository.open(storage, PASSWORD))
        work(session)
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
    assert (first <= 90, unchanged <= 65, verify <= 85, restore <= 90) == (True,) * 4, shown
