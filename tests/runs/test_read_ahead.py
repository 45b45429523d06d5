"""Documents of a run are read many at once where requests take time, one by one where not, and never too many."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Final, TypeVar

import pytest

from holdfast.backup.report import file_records
from holdfast.crypto.kdf import ScryptParameters
from holdfast.repository.layout import RUNS
from holdfast.repository.repository import Repository
from holdfast.repository.session import RepositorySession
from holdfast.restore.report import file_chunks
from holdfast.restore.request import RestoreOptions
from holdfast.runs.read_ahead import read_ahead
from holdfast.runs.workspace import Workspace
from holdfast.storage.contract import Storage
from holdfast.verify.finish import finish_verification
from holdfast.verify.plan import plan_verification
from holdfast.verify.shard import read_shard
from holdfast.verify.share import Share
from holdfast.verify.trees import check_trees
from tests.support.doubles import SlowStorage
from tests.support.engine import KIB, PASSWORD, SMALL, SMALL_PACK_BYTES, EngineRun, nothing
from tests.support.memory_storage import MemoryStorage
from tests.support.restore import EngineRestore
from tests.support.verification import opened

REQUESTS: Final = 12
FILES: Final = 48
LATENCY_S: Final = 0.01
ResultT = TypeVar("ResultT")


@dataclass(slots=True)
class Documents(SlowStorage):
    """Counts how many documents of runs are being read at once."""

    begun: int = 0
    reading: int = 0
    most_read: int = 0
    _counting: threading.Lock = field(default_factory=threading.Lock)

    def request(self, call: str, name: str, send: Callable[[], ResultT]) -> ResultT:
        if call != "get" or not name.startswith(RUNS):
            return send()
        with self._counting:
            self.begun += 1
            self.reading += 1
            self.most_read = max(self.most_read, self.reading)
        try:
            return SlowStorage.request(self, call, name, send)
        finally:
            with self._counting:
                self.reading -= 1

    def most_during(self, step: Callable[[], object]) -> int:
        self.most_read = 0
        step()
        return self.most_read


def session_on(storage: Storage) -> RepositorySession:
    repository = Repository.init(storage, PASSWORD, kdf=ScryptParameters.for_tests())
    return RepositorySession(repository, sizes=SMALL, pack_size_bytes=SMALL_PACK_BYTES)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    random = Random(5)
    for number in range(FILES):
        (folder / f"{number}").write_bytes(random.randbytes(40 * KIB))
    return folder


@pytest.fixture(params=[LATENCY_S, 0.0], ids=["at a distance", "at hand"])
def storage(request: pytest.FixtureRequest) -> Documents:
    return Documents(MemoryStorage(), latency_s=request.param, requests=REQUESTS)


def assert_at_once(storage: Documents, most: int) -> None:
    if storage.latency_s:
        assert 4 <= most <= REQUESTS
    else:
        assert most == 1


def test_a_backups_commit_and_its_list_of_files(source: Path, storage: Documents) -> None:
    run = EngineRun.of(session_on(storage), source)
    run.open()
    pages = run.select()
    shards = sum(page.shards for page in pages)
    assert shards >= 8
    for shard in range(shards):
        run.store(shard)
    listed = storage.most_during(lambda: [*file_records(run.backup, len(pages), shards)])
    assert_at_once(storage, listed)
    assert_at_once(storage, storage.most_during(lambda: run.commit(pages)))


def test_a_verifications_end(source: Path, storage: Documents) -> None:
    session = session_on(storage)
    EngineRun.of(session, source).run()
    session.sizes = replace(SMALL, verify=replace(SMALL.verify, most_shard_work=64 * KIB))
    run = opened(session, "verify")
    check_trees(run, nothing)
    shards = plan_verification(run, Share(percent=100), 0).shards
    assert shards >= 8
    for shard in range(shards):
        read_shard(run, shard, nothing)
    assert_at_once(storage, storage.most_during(lambda: finish_verification(run, nothing)))


def test_a_restores_end_and_its_list_of_files(tmp_path: Path, source: Path, storage: Documents) -> None:
    session = session_on(storage)
    EngineRun.of(session, source).run()
    restore = EngineRestore(session, RestoreOptions(target=bytes(tmp_path / "target")))
    pages = restore.plan()
    shards = pages[-1].next_shard
    assert shards >= 8
    for shard in range(shards):
        restore.shard(shard)
    assert_at_once(storage, storage.most_during(lambda: restore.complete(len(pages), shards)))
    with restore.held() as run:
        listed = storage.most_during(lambda: [*file_chunks(run, len(pages), shards)])
    assert_at_once(storage, listed)


def test_what_is_read_ahead_is_bounded() -> None:
    """However slowly it is taken: so many documents as make up the limit, and not more."""
    storage = Documents(MemoryStorage(), latency_s=LATENCY_S, requests=REQUESTS)
    workspace = Workspace(session_on(storage).repository, "run")
    random = Random(6)
    documents = [random.randbytes(10 * KIB) for _ in range(40)]
    for number, document in enumerate(documents):
        workspace.put(f"{number:02}", document)
    names = (f"{number:02}" for number in range(41))
    for taken, read in enumerate(read_ahead(workspace, names, limit_bytes=50 * KIB)):
        assert storage.begun - taken <= 5 + 1, "those ahead, and the one that was taken"
        assert read == (documents[taken] if taken < len(documents) else None)
    assert storage.begun == len(documents) + 1
