"""The engine on storages that lag, fail, lose answers or are slow: runs come to a good end, with exactly one snapshot.

Each engine call is repeated while its error says that a later attempt may succeed, as Temporal does with activities.
"""

import contextlib
import itertools
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Final

import pytest

from holdfast.crypto.kdf import ScryptParameters
from holdfast.errors import (
    FencedError,
    RepositoryExistsError,
    StorageUnavailableError,
    UsageError,
)
from holdfast.repository.exclusive import ExclusiveLock
from holdfast.repository.layout import LOCKS, RUNS
from holdfast.repository.repository import Repository
from holdfast.repository.session import RepositorySession
from holdfast.repository.snapshots import list_snapshots
from holdfast.runs.opening import close_run
from holdfast.runs.workspace import Workspace
from holdfast.storage.contract import Content, Storage, Traits
from holdfast.storage.layers.layer import Layer
from holdfast.storage.layers.retry import Retrying
from holdfast.storage.local import LocalStorage
from tests.support.comparison import MIB, same
from tests.support.doubles import (
    READS,
    WRITES,
    DyingStorage,
    Fault,
    FaultyStorage,
    Killed,
    LaggingStorage,
    SlowStorage,
)
from tests.support.engine import PASSWORD, EngineRun, small_session
from tests.support.faults import assert_sound
from tests.support.memory_storage import MemoryStorage
from tests.support.persistent import back_up, restored, verified

PACK_BYTES: Final = 64 * 1024
"""Not restic's to write, but its to read: so that few bytes fill several packs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A source, a place for the repository, and one for what is restored."""

    source: Path
    repository: Path
    target: Path


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    random = Random(7)
    source = tmp_path / "source"
    for folder in ("", "a", "a/deep", "b"):
        (source / folder).mkdir(parents=True, exist_ok=True)
        for number in range(4):
            (source / folder / f"{number}").write_bytes(random.randbytes(20_000 + number))
    (source / "large").write_bytes(random.randbytes(900_000))
    return Scene(source=source, repository=tmp_path / "repository", target=tmp_path / "target")


def new_repository(storage: Storage) -> RepositorySession:
    repository = Repository.init(storage, PASSWORD, kdf=ScryptParameters.for_tests())
    return RepositorySession(repository, pack_size_bytes=PACK_BYTES)


def assert_good_end(scene: Scene) -> None:
    """One snapshot, which restic finds whole, a restored tree, and nothing of the runs left over."""
    assert_sound(scene.repository, snapshots=1)
    assert same(scene.source, scene.target)
    assert [*LocalStorage(scene.repository).list(RUNS)] == []


def test_on_a_storage_whose_listings_show_what_was_deleted(scene: Scene) -> None:
    storage = LaggingStorage(LocalStorage(scene.repository), settle_s=1.0)
    session = new_repository(storage)
    back_up(session, scene.source)
    session.close()
    again = opened(storage)
    with storage.armed(), ExclusiveLock(again.repository):
        pass  # the lock that has just gone is in the way of nobody
    restored(again, scene.source, scene.target)
    assert verified(again, "verify") == 0
    again.close()
    assert_good_end(scene)


def test_on_a_slow_storage_which_is_asked_for_as_much_at_once_as_it_likes(scene: Scene) -> None:
    storage = SlowStorage(LocalStorage(scene.repository))
    session = new_repository(storage)
    back_up(session, scene.source)
    restored(session, scene.source, scene.target)
    assert verified(session, "verify") == 0
    session.close()
    assert 1 < storage.most_at_once <= storage.requests
    assert_good_end(scene)


def a_repository() -> MemoryStorage:
    storage = MemoryStorage()
    Repository.init(storage, PASSWORD, kdf=ScryptParameters.for_tests())
    return storage


def opened(storage: Storage) -> RepositorySession:
    return RepositorySession(Repository.open(storage, PASSWORD), pack_size_bytes=PACK_BYTES)


@contextmanager
def failing_once(
    below: Storage, at: int, calls: frozenset[str], *, done: bool
) -> Iterator[RepositorySession]:
    """A session whose storage fails once, at its `at`-th request of this kind since the repository was opened."""
    faulty = FaultyStorage(below)
    session = opened(faulty)
    faulty.faults = (Fault(calls, at=at, done=done),)
    with faulty:
        yield session
    session.close()


def requests_of(work: Callable[[RepositorySession], object], below: Storage, calls: frozenset[str]) -> int:
    """How many requests of this kind a piece of work makes."""
    faulty = FaultyStorage(below)
    session = opened(faulty)
    faulty.faults = (fault := Fault(calls, at=-1),)
    work(session)
    requests = fault.seen
    session.close()
    assert requests > 10
    return requests


FAULTS: Final = [
    pytest.param(WRITES, 1, False, id="write-refused"),
    pytest.param(WRITES, 1, True, id="answer-lost"),
    pytest.param(READS, 3, False, id="read-refused"),
]


@pytest.mark.parametrize(("calls", "step", "done"), FAULTS)
def test_a_backup_at_each_request_that_fails_once(
    scene: Scene, calls: frozenset[str], step: int, *, done: bool
) -> None:
    requests = requests_of(lambda session: back_up(session, scene.source), a_repository(), calls)
    # one less: which thread comes when moves a request or two, and the lock's removal may come after the end
    for at in range(0, requests - 3, step):
        below = a_repository()
        with failing_once(below, at, calls, done=done) as session:
            committed = back_up(session, scene.source)
        checking = opened(below)
        assert [stored.id for stored in list_snapshots(checking.repository)] == [committed.snapshot]
        assert [*below.list(RUNS)] == []
        assert verified(checking, f"verify-{at}") == 0
        checking.close()


@pytest.mark.parametrize(("calls", "step", "done"), FAULTS)
def test_restore_and_verification_at_requests_that_fail_once(
    scene: Scene, calls: frozenset[str], step: int, *, done: bool
) -> None:
    below = a_repository()
    session = opened(below)
    back_up(session, scene.source)
    session.close()

    def work(session: RepositorySession) -> None:
        shutil.rmtree(scene.target, ignore_errors=True)
        restored(session, scene.source, scene.target)
        assert same(scene.source, scene.target)
        assert verified(session, "verify") == 0

    requests = requests_of(work, below, calls)
    for at in range(0, requests - 3, step * 2):
        with failing_once(below, at, calls, done=done) as session:
            work(session)
        assert [*below.list(RUNS)] == []


def test_a_backup_killed_at_writes_on_every_path(scene: Scene) -> None:
    """With sizes so small that it has several pages, shards, segments and checkpoints; then it goes on."""
    (scene.source / "large").write_bytes(Random(8).randbytes(3 * MIB + 5))
    kills = 0
    for at in itertools.count(4, 9):
        below = a_repository()
        dying = DyingStorage(below, at, done=bool(at % 2))
        session = small_session(dying)
        run = EngineRun.of(session, scene.source, run_id="run")
        with contextlib.suppress(Killed, StorageUnavailableError):
            run.run()
        if not dying.dead:
            break
        kills += 1
        below.delete_folder(LOCKS)  # as the next one does, which finds its process dead
        again = small_session(below)
        resumed = EngineRun(replace(run.backup, session=again), run.order)
        snapshot = resumed.open().finished
        if snapshot is None:
            committed = resumed.run().snapshot
        else:
            committed = bytes(snapshot)
            close_run(resumed.backup.workspace)  # as the workflow does: the run has its snapshot
        again.close()
        checking = small_session(below)
        assert [stored.id for stored in list_snapshots(checking.repository)] == [committed]
        assert [*below.list(RUNS)] == []
        if kills % 4 == 0:
            shutil.rmtree(scene.target, ignore_errors=True)
            restored(checking, scene.source, scene.target)
            assert same(scene.source, scene.target)
        checking.close()
    assert kills > 10


def test_a_repository_whose_config_was_made_by_a_request_without_an_answer_is_ours() -> None:
    below = MemoryStorage()
    with FaultyStorage(below, Fault(frozenset({"put_new"}), done=True)) as faulty:
        made = Repository.init(Retrying(faulty), PASSWORD, kdf=ScryptParameters.for_tests())
    assert Repository.open(below, PASSWORD).id == made.id
    with pytest.raises(RepositoryExistsError):
        Repository.init(Retrying(below), PASSWORD, kdf=ScryptParameters.for_tests())
    assert Repository.open(below, PASSWORD).id == made.id


def test_an_attempt_that_wakes_up_after_the_end_writes_no_second_snapshot(scene: Scene) -> None:
    """Also when the answer to its decision is lost, so that it is told to have lost against itself."""
    below = a_repository()
    session = opened(below)
    run = EngineRun.of(session, scene.source)
    run.open()
    pages = run.select()
    for shard in range(sum(page.shards for page in pages)):
        run.store(shard)

    class ClosedMeanwhile(FaultyStorage):
        """The other attempt commits and the run is closed while this one's decision is on its way."""

        def put_new(self, name: str, data: Content) -> bool:
            if name.endswith("/snapshot") and not self.faults[0].seen:
                assert run.commit(pages).result is not None
                close_run(run.backup.workspace)
            return super().put_new(name, data)

    with ClosedMeanwhile(below, Fault(frozenset({"put_new"}), at=0, done=True)) as faulty:
        late = EngineRun(replace(run.backup, session=opened(Retrying(faulty))), run.order)
        with pytest.raises(FencedError):
            late.commit(pages)
        late.session.close()
    assert len(list_snapshots(session.repository)) == 1
    assert [*below.list(RUNS)] == []
    session.close()


def test_a_storage_that_cannot_keep_documents_is_refused_before_anything_is_written() -> None:
    class Rigid(Layer):
        @property
        def traits(self) -> Traits:
            return replace(self.below.traits, any_name=False)

    session = opened(Rigid(a_repository()))
    with pytest.raises(UsageError, match="documents"):
        Workspace(session.repository, "run")
    session.close()
