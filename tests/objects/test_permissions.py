"""The policies of docs/storage.md, as they stand there, tried on a server that judges by them."""

import json
import logging
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from holdfast.crypto.kdf import ScryptParameters
from holdfast.errors import StorageDeniedError
from holdfast.format.lock import Holder, Lock, encode_lock
from holdfast.format.times import format_time
from holdfast.repository.companion import join_companion
from holdfast.repository.identity import started_at, this_host, this_place
from holdfast.repository.layout import DATA, INDEX, LOCKS, RUNS, SNAPSHOTS
from holdfast.repository.repository import Repository
from holdfast.repository.session import RepositorySession
from holdfast.storage.contract import Storage
from holdfast.storage.credentials import fixed
from holdfast.storage.locations import open_storage
from holdfast.storage.probe import probe
from tests.support.comparison import same
from tests.support.engine import PASSWORD
from tests.support.persistent import back_up, restored, verified
from tests.support.seaweed import BUCKET, Seaweed
from tests.support.stock import Restic

PAGE = Path(__file__).parents[2] / "docs" / "storage.md"


def policy(name: str) -> str:
    """The block of the page that stands below this word."""
    pattern = r"^\*\*([A-Za-z -]+)\*\*:.*?^```json\n(.*?)^```"
    blocks = dict(re.findall(pattern, PAGE.read_text(), re.DOTALL | re.MULTILINE))
    return str(blocks[name])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    top = tmp_path / "source"
    top.mkdir()
    for number in range(10):
        (top / f"{number}").write_bytes(Random(number).randbytes(20_000))
    return top


@pytest.fixture
def allowed(seaweed: Seaweed, prefix: str) -> Callable[[str], dict[str, str]]:
    """The variables of a user who may do what a policy of the page says."""

    def make(name: str) -> dict[str, str]:
        text = policy(name).replace("BUCKET", BUCKET).replace("PATH", prefix)
        json.loads(text)
        return seaweed.add_user(f"{prefix}-{len(text)}", text)

    return make


def opened(storage: Storage, companion: Path | None = None) -> RepositorySession:
    repository = Repository.open(storage, PASSWORD)
    if companion is not None:
        join_companion(repository, str(companion), companion)
    return RepositorySession(repository)


def _leave_a_dead_lock(repository: Repository) -> None:
    """As a process of this host leaves one that was killed."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = started_at(process.pid)
    assert started is not None
    process.communicate(b"\n")
    lock = Lock(
        time=format_time(time.time_ns()),
        exclusive=False,
        hostname=this_host(),
        username="somebody",
        pid=process.pid,
        holdfast=Holder(place=this_place(), started=started),
    )
    repository.save_file(LOCKS, encode_lock(lock))


def test_all_that_is_needed(
    seaweed: Seaweed, prefix: str, source: Path, tmp_path: Path, allowed: Callable[[str], dict[str, str]]
) -> None:
    environ = allowed("Everything")
    storage = open_storage(seaweed.location(prefix), fixed(environ))
    assert all(found.well for found in probe(storage).findings)
    Repository.init(storage, PASSWORD, kdf=ScryptParameters.for_tests())
    session = opened(storage)
    back_up(session, source)
    restored(session, source, tmp_path / "target")
    assert verified(session, "verify") == 0
    session.close()
    assert same(source, tmp_path / "target")
    stock = Restic(seaweed.location(prefix), environ)
    stock("forget", "latest", "--prune")
    assert [*storage.list(SNAPSHOTS)] == []
    elsewhere = open_storage(seaweed.location(f"{prefix}-not"), fixed(environ))
    with pytest.raises(StorageDeniedError):
        elsewhere.put("config", b"")


def test_append_only(
    seaweed: Seaweed, prefix: str, source: Path, tmp_path: Path, allowed: Callable[[str], dict[str, str]]
) -> None:
    environ = allowed("Append-only")
    storage = open_storage(seaweed.location(prefix), fixed(environ))
    assert all(found.well for found in probe(storage).findings)
    Repository.init(storage, PASSWORD, kdf=ScryptParameters.for_tests())
    for number in range(2):
        session = opened(storage)
        (source / f"more-{number}").write_bytes(Random(100 + number).randbytes(50_000))
        back_up(session, source, f"run-{number}")
        assert verified(session, f"verify-{number}") == 0
        session.close()
    assert [*storage.list(LOCKS)] == [*storage.list(RUNS)] == []
    stock = Restic(seaweed.location(prefix), environ)
    stock("backup", source)
    stock.assert_sound(snapshots=3)
    for folder in (DATA, INDEX, SNAPSHOTS):
        with pytest.raises(StorageDeniedError):
            storage.delete(next(storage.list(folder)).name)
        with pytest.raises(StorageDeniedError):
            storage.delete_folder(folder)
    with pytest.raises(StorageDeniedError):
        storage.delete("config")
    stock.assert_sound(snapshots=3)


def test_without_any_deletion(
    seaweed: Seaweed,
    prefix: str,
    source: Path,
    tmp_path: Path,
    allowed: Callable[[str], dict[str, str]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What runs write of their own lies in a companion; locks stay, and are counted."""
    caplog.set_level(logging.WARNING)
    storage = open_storage(seaweed.location(prefix), fixed(allowed("No deletion")))
    assert {found.subject for found in probe(storage).findings if not found.well} == {"deletes"}
    Repository.init(storage, PASSWORD, kdf=ScryptParameters.for_tests())
    for number in range(3):
        session = opened(storage, tmp_path / "companion")
        (source / f"more-{number}").write_bytes(Random(100 + number).randbytes(50_000))
        back_up(session, source, f"run-{number}")
        session.close()
        _leave_a_dead_lock(session.repository)
    session = opened(storage, tmp_path / "companion")
    restored(session, source, tmp_path / "target")
    assert verified(session, "verify") == 0
    session.close()
    assert same(source, tmp_path / "target")
    assert len([*storage.list(LOCKS)]) >= 6
    assert "3 locks that nobody holds stay" in caplog.text
    with pytest.raises(StorageDeniedError):
        storage.delete(next(storage.list(SNAPSHOTS)).name)
