"""The bin: what is forgotten comes back as it was, whatever is killed in between."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.crypto.kdf import ScryptParameters
from holdfast.errors import (
    BlobMissingError,
    CorruptFileError,
    LockLostError,
    SnapshotNotFoundError,
    UsageError,
)
from holdfast.ids import SnapshotId, to_hex
from holdfast.repository.caching import join_cache
from holdfast.repository.layout import LOCKS, SNAPSHOTS, file_name
from holdfast.repository.repository import Repository
from holdfast.repository.session import RepositorySession
from holdfast.repository.snapshots import list_snapshots
from holdfast.retention.bin import (
    BIN,
    bin_roots,
    binned_snapshots,
    drop,
    empty_bin,
    forget_snapshot,
    take_back,
)
from holdfast.retention.holds import hold, release
from holdfast.storage.cache import Cache
from holdfast.storage.contract import Storage, Traits
from holdfast.storage.local import LocalStorage
from tests.support.comparison import restic, same
from tests.support.doubles import DyingStorage, Killed
from tests.support.engine import PASSWORD, EngineRun, new_session, open_session
from tests.support.memory_storage import MemoryStorage
from tests.support.restore import restore

DAY_S = 86_400.0


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "file").write_bytes(b"worth keeping" * 100)
    return folder


def forget(session: RepositorySession, snapshot: bytes, keep_s: float = 7 * DAY_S) -> bool:
    snapshot_id = SnapshotId(snapshot)
    with session.hold() as held:
        return forget_snapshot(
            held, snapshot_id, now_ns=time.time_ns(), keep_s=keep_s, by="Ann", reason="no rule keeps it"
        )


def unforget(session: RepositorySession, prefix: str) -> SnapshotId:
    with session.hold() as held:
        return take_back(held, prefix)


def there(session: RepositorySession) -> list[SnapshotId]:
    return [stored.id for stored in list_snapshots(session.repository)]


class Far(LocalStorage):
    """A directory that answers after a while, as a store does."""

    @property
    def traits(self) -> Traits:
        return replace(super().traits, latency_s=0.05)


def test_what_only_the_cache_has_is_not_put_into_the_bin(tmp_path: Path, source: Path) -> None:
    """Another host has forgotten it since it was listed, and may have pruned: the bin would hold a prune up."""
    with new_session(tmp_path / "repository") as session:
        snapshot_id = EngineRun.of(session, source).run().snapshot
    repository = Repository.open(Far(tmp_path / "repository"), PASSWORD)
    join_cache(repository, Cache(tmp_path / "cache", 64 << 20))
    far = RepositorySession(repository)
    assert there(far) == [snapshot_id]
    list(repository.storage.list(SNAPSHOTS))
    (tmp_path / "repository" / file_name(SNAPSHOTS, snapshot_id)).unlink()
    assert not forget(far, snapshot_id)
    assert bin_roots(repository) == []
    far.close()


def test_what_was_forgotten_comes_back_as_it_was(tmp_path: Path, source: Path) -> None:
    with new_session(tmp_path / "repository") as session:
        snapshot_id = EngineRun.of(session, source).run().snapshot
        stored = (tmp_path / "repository" / file_name(SNAPSHOTS, snapshot_id)).read_bytes()
        assert forget(session, snapshot_id)
        assert there(session) == []
        assert not forget(session, snapshot_id)  # an attempt that comes second
        (binned,) = binned_snapshots(session.repository)
        assert (binned.stored.id, binned.by, binned.reason) == (snapshot_id, "Ann", "no rule keeps it")
        assert binned.until_ns - binned.forgotten_ns == 7 * 86_400 * 10**9
        assert [root.id for root in bin_roots(session.repository)] == [snapshot_id]

        assert unforget(session, to_hex(snapshot_id)[:6]) == snapshot_id
        assert (tmp_path / "repository" / file_name(SNAPSHOTS, snapshot_id)).read_bytes() == stored
        assert binned_snapshots(session.repository) == []
        restore(session, tmp_path / "target", snapshot=f"{to_hex(snapshot_id)}:{source}")
        assert same(source, tmp_path / "target")
    assert restic(tmp_path / "repository", PASSWORD, "check", "--read-data")


def test_the_bin_is_emptied_of_what_is_past_its_time_alone(tmp_path: Path, source: Path) -> None:
    with new_session(tmp_path / "repository") as session:
        first = EngineRun.of(session, source, run_id="1").run().snapshot
        second = EngineRun.of(session, source, run_id="2").run().snapshot
        forget(session, first, keep_s=-1.0)
        forget(session, second)
        assert empty_bin(session.repository, time.time_ns()) == 1
        assert [binned.stored.id for binned in binned_snapshots(session.repository)] == [second]
        with pytest.raises(SnapshotNotFoundError, match="no snapshot in the bin begins with"):
            unforget(session, to_hex(first))
        assert [*session.repository.companion.list("holdfast/clock")] == []
        eight_days_on = time.time_ns() + 8 * 86_400 * 10**9
        assert empty_bin(session.repository, eight_days_on) == 0  # our clock alone shortens nobody's time


@contextmanager
def opened(storage: Storage) -> Iterator[RepositorySession]:
    session = RepositorySession(Repository.open(storage, PASSWORD))
    yield session
    session.close()


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("forgets", [True, False])
def test_killed_at_any_write_a_snapshot_is_there_or_in_the_bin(
    source: Path, *, forgets: bool, done: bool
) -> None:
    below = MemoryStorage()
    Repository.init(below, PASSWORD, kdf=ScryptParameters.for_tests())
    with opened(below) as session:
        snapshot_id = EngineRun.of(session, source).run().snapshot
    kills, is_over = 0, False
    while not is_over:
        with opened(below) as session:
            is_there = bool(there(session))
            if forgets and not is_there:
                unforget(session, to_hex(snapshot_id))
            if not forgets and is_there:
                forget(session, snapshot_id)
        dying = DyingStorage(below, kills, done=done)
        with suppress(Killed), opened(dying) as session:
            _ = forget(session, snapshot_id) if forgets else unforget(session, to_hex(snapshot_id))
        kills, is_over = kills + 1, not dying.dead
        below.delete_folder(LOCKS)
        with opened(below) as session:
            binned = [binned.stored.id for binned in binned_snapshots(session.repository)]
            assert sorted([there(session), binned]) == [[], [snapshot_id]]
            assert bool(binned) is forgets or not is_over
    assert kills > (3 if forgets else 2)  # the lock, the document, the file, and the end


def test_a_snapshot_whose_data_was_pruned_by_another_program_does_not_come_back(
    tmp_path: Path, source: Path
) -> None:
    with new_session(tmp_path / "repository") as session:
        snapshot_id = EngineRun.of(session, source).run().snapshot
        forget(session, snapshot_id)
    restic(tmp_path / "repository", PASSWORD, "prune")
    with open_session(tmp_path / "repository") as session:
        with pytest.raises(BlobMissingError, match="some of its data is gone"):
            unforget(session, to_hex(snapshot_id))
        assert there(session) == []
        assert len(binned_snapshots(session.repository)) == 1


def test_a_process_without_its_lock_forgets_nothing(tmp_path: Path, source: Path) -> None:
    with new_session(tmp_path / "repository") as session:
        snapshot_id = EngineRun.of(session, source).run().snapshot
        with session.hold() as held:
            session.repository.storage.delete_folder(LOCKS)
            with pytest.raises(LockLostError):
                forget_snapshot(
                    held, SnapshotId(snapshot_id), now_ns=time.time_ns(), keep_s=1.0, by="Ann", reason=""
                )
        assert there(session) == [snapshot_id]


def test_a_lock_that_goes_while_a_snapshot_comes_back_takes_it_away_again(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with new_session(tmp_path / "repository") as session:
        snapshot_id = EngineRun.of(session, source).run().snapshot
        forget(session, snapshot_id)
        put = session.repository.save_sealed_file

        def losing(folder: str, sealed: bytes) -> bytes:
            stored = put(folder, sealed)
            session.repository.storage.delete_folder(LOCKS)
            return stored

        monkeypatch.setattr(session.repository, "save_sealed_file", losing)
        with pytest.raises(LockLostError):
            unforget(session, to_hex(snapshot_id))
        assert there(session) == []
        monkeypatch.undo()
        assert unforget(session, to_hex(snapshot_id)) == snapshot_id


def test_a_forgetting_that_was_frozen_puts_what_was_taken_back_into_the_bin_only(
    tmp_path: Path, source: Path
) -> None:
    with new_session(tmp_path / "repository") as session:
        snapshot_id = EngineRun.of(session, source).run().snapshot
        forget(session, snapshot_id)
        unforget(session, to_hex(snapshot_id))
        session.repository.storage.delete(
            file_name(SNAPSHOTS, snapshot_id)
        )  # step 4 of an attempt that wakes up
        assert unforget(session, to_hex(snapshot_id)) == snapshot_id


def test_a_damaged_document_stops_who_would_prune(tmp_path: Path, source: Path) -> None:
    with new_session(tmp_path / "repository") as session:
        snapshot_id = EngineRun.of(session, source).run().snapshot
        forget(session, snapshot_id)
        session.repository.companion.put(f"{BIN}/{to_hex(snapshot_id)}", b"damaged")
        with pytest.raises(CorruptFileError, match="holdfast/bin"):
            bin_roots(session.repository)


def test_what_is_held_stays_in_the_bin_whatever_its_time(tmp_path: Path, source: Path) -> None:
    with new_session(tmp_path / "repository") as session:
        first, second = (
            SnapshotId(EngineRun.of(session, source, run_id=run).run().snapshot) for run in ("1", "2")
        )
        stored = list_snapshots(session.repository)[0]
        now_ns = time.time_ns()
        hold(session.repository, stored, by="Ann", reason="audit", now_ns=now_ns)
        forget(session, first, keep_s=-1.0)
        forget(session, second)
        assert empty_bin(session.repository, now_ns) == 0
        with pytest.raises(UsageError, match=r"stays in the bin: held: audit \(Ann\)"):
            drop(session.repository, [to_hex(first)], now_ns)
        assert [one.stored.id for one in drop(session.repository, [], now_ns)] == [second]
        assert [one.stored.id for one in binned_snapshots(session.repository)] == [first]
        release(session.repository, to_hex(first))
        assert empty_bin(session.repository, now_ns) == 1
