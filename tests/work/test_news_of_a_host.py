"""Processes of a host hear from each other what is new in the index, and look at the storage only then."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from holdfast.errors import BlobMissingError, LockLostError
from holdfast.format.index import BlobType
from holdfast.ids import BlobId, IndexId, sha256
from holdfast.repository.damage import DamagedPack, DamageMarks
from holdfast.repository.index.files import LOOK_AGAIN_S, read_index
from holdfast.repository.index.shared import SharedIndex
from holdfast.repository.repository import Repository
from holdfast.repository.session import RepositorySession
from tests.support.counting import CountingStorage
from tests.support.engine import PASSWORD, EngineRun, new_session, open_session

LISTINGS = {("list", "index"): 1, ("list", "holdfast"): 1}


class Process:
    """What one process of the host has."""

    def __init__(self, folder: Path, memory: int) -> None:
        self.storage = CountingStorage(folder)
        self.session = RepositorySession(
            Repository.open(self.storage, PASSWORD), shared_index=SharedIndex(memory), one_host=True
        )

    def asks(self) -> dict[tuple[str, str], int]:
        """What a use of the repository asks for, under the lock that is there."""
        self.storage.calls.clear()
        with self.session.hold():
            pass
        return dict(self.storage.calls)

    def blobs(self) -> int:
        with self.session.hold() as held:
            return len(held.index)


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[[], Process]]:
    """Begin a process of the host; each holds the lock from then on."""
    (tmp_path / "source").mkdir()
    with new_session(tmp_path / "repository") as session:
        _write(tmp_path, "first")
        EngineRun.of(session, tmp_path / "source", run_id="first").run()
    memory = SharedIndex.create_file()
    begun: list[Process] = []

    def begin_one() -> Process:
        process = Process(tmp_path / "repository", memory)
        begun.append(process)
        process.session.lease.acquire()
        process.asks()
        return process

    yield begin_one
    for process in begun:
        process.session.close()
    os.close(memory)


def _write(folder: Path, name: str) -> None:
    (folder / "source" / name).write_bytes(Random(name).randbytes(3000))


def test_without_news_nothing_is_asked(begin: Callable[[], Process]) -> None:
    one, other = begin(), begin()
    assert one.asks() == other.asks() == {}


def test_what_one_writes_the_others_take_from_their_memory(
    begin: Callable[[], Process], tmp_path: Path
) -> None:
    one, other = begin(), begin()
    _write(tmp_path, "second")
    EngineRun.of(one.session, tmp_path / "source", run_id="second").run()
    before = other.blobs()
    assert other.asks() == one.asks() == {}
    assert other.blobs() == one.blobs() >= before


def test_what_one_has_only_read_the_others_look_for(begin: Callable[[], Process], tmp_path: Path) -> None:
    """It was listed before packs were marked, and is read to the end when the file has gone: who has a lock since then
    must not rely on these packs."""
    slow, one = begin(), begin()
    index = tmp_path / "repository" / "index"
    before = set(index.iterdir())
    _write(tmp_path, "second")
    with open_session(tmp_path / "repository") as session:
        EngineRun.of(session, tmp_path / "source", run_id="second").run()
    files = {IndexId(bytes.fromhex(path.name)): path for path in set(index.iterdir()) - before}
    read = {index_id: read_index(slow.session.repository, index_id) for index_id in files}
    for path in files.values():
        path.unlink()
    one.session.lease.close()
    one.session.lease.acquire()
    one.asks()
    with slow.session.hold() as held:
        for index_id, packs in read.items():
            held.files.index.load(index_id, packs)
    with one.session.hold() as held:
        assert not any(held.index.has_pack(pack.id) for packs in read.values() for pack in packs)


def test_what_one_marks_all_believe(begin: Callable[[], Process]) -> None:
    one, other = begin(), begin()
    with one.session.hold() as held:
        pack = next(held.index.packs()).id
        DamageMarks(held.repository).put(DamagedPack(pack=pack, whole=True))
        held.note_marks()
    for process in (one, other):
        with process.session.hold() as held:
            assert pack in held.index.damage


def test_other_hosts_are_looked_for_after_a_while(
    begin: Callable[[], Process], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = begin()
    before = one.blobs()
    _write(tmp_path, "second")
    with open_session(tmp_path / "repository") as session:
        EngineRun.of(session, tmp_path / "source", run_id="second").run()
    assert one.blobs() == before
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + LOOK_AGAIN_S + 1)
    assert one.blobs() > before


def test_what_is_missing_is_no_damage_before_it_was_looked_for(
    begin: Callable[[], Process], tmp_path: Path
) -> None:
    """Another host has written it since: who misses it does its work once more. What is missing in truth is told."""
    one = begin()
    _write(tmp_path, "second")
    with open_session(tmp_path / "repository") as session:
        EngineRun.of(session, tmp_path / "source", run_id="second").run()
    new = BlobId(sha256((tmp_path / "source" / "second").read_bytes()))
    with pytest.raises(LockLostError, match="index files were written"), one.session.hold() as held:
        held.loader.load(new, BlobType.DATA)
    with one.session.hold() as held:
        assert held.loader.load(new, BlobType.DATA)
    with pytest.raises(BlobMissingError), one.session.hold() as held:
        held.loader.load(BlobId(sha256(b"nowhere")), BlobType.DATA)


def test_a_commit_finds_what_a_shard_of_another_host_has_stored(
    begin: Callable[[], Process], tmp_path: Path
) -> None:
    one = begin()
    _write(tmp_path, "second")
    mine = EngineRun.of(one.session, tmp_path / "source", run_id="second")
    mine.open()
    pages = mine.select()
    with open_session(tmp_path / "repository") as session:
        EngineRun.of(session, tmp_path / "source", run_id="second").store(0)
    outcome = mine.commit(pages)
    assert outcome.result is not None


def test_a_host_whose_memory_is_not_shared_looks_each_time(tmp_path: Path) -> None:
    with new_session(tmp_path / "repository"):
        pass
    storage = CountingStorage(tmp_path / "repository")
    session = RepositorySession(Repository.open(storage, PASSWORD), one_host=True)
    for _ in range(2):
        storage.calls.clear()
        with session.hold():
            pass
        assert storage.calls["list", "index"] == 1
    session.close()
