"""The janitor: what it removes, what it never does, and what is left when it is killed at any of its steps."""

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from holdfast.crypto.kdf import ScryptParameters
from holdfast.errors import RepositoryLockedError, StorageUnavailableError, UsageError
from holdfast.repository.companion import CLOCK
from holdfast.repository.layout import LOCKS, RUNS
from holdfast.repository.locking import LockLease
from holdfast.repository.repository import Repository
from holdfast.repository.session import RepositorySession
from holdfast.runs.janitor import old_runs, remove_old_runs
from holdfast.runs.workspace import run_name
from holdfast.storage.local import LocalStorage
from tests.support.comparison import same
from tests.support.doubles import DyingStorage, Killed
from tests.support.engine import PASSWORD, EngineRun, new_session, open_session
from tests.support.memory_storage import MemoryStorage
from tests.support.restore import restore

DAY_S: Final = 86_400.0
MONTH_S: Final = 30 * DAY_S
ANY_AGE_S: Final = -60.0


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}").write_bytes(b"%d" % number * 1000)
    return folder


def interrupted(session: RepositorySession, source: Path, run_id: str = "backup:host:r:s/1") -> EngineRun:
    """A run that has planned and stored everything, and then was cancelled."""
    run = EngineRun.of(session, source, run_id=run_id)
    run.open()
    for page in run.select():
        for shard in range(page.first_shard, page.first_shard + page.shards):
            run.store(shard)
    return run


def documents(repository: Path) -> dict[str, float]:
    return {str(path): path.stat().st_mtime for path in (repository / RUNS).rglob("*") if path.is_file()}


def age(repository: Path, seconds: float) -> None:
    """Have all documents of all runs be that old."""
    for path, written in documents(repository).items():
        os.utime(path, (written - seconds, written - seconds))


def nobody(_: str) -> bool:
    return False


def test_a_run_that_has_written_nothing_for_long_goes_and_a_young_one_stays(
    tmp_path: Path, source: Path
) -> None:
    with new_session(tmp_path / "r") as session:
        interrupted(session, source, "old")
        age(tmp_path / "r", MONTH_S + 60)
        interrupted(session, source, "young")
        session.close()
        (old,) = old_runs(session.repository, older_than_s=MONTH_S)
        assert old.run_id == "old"
        assert old.stored.documents > 4
        remove_old_runs(session.repository, older_than_s=MONTH_S, is_open=nobody)
        assert {Path(path).parts[-1] for path in documents(tmp_path / "r")} >= {"run", "opening"}
        kept = run_name(session.repository, "young")
        assert all(f"/{kept}/" in path for path in documents(tmp_path / "r"))
        assert old_runs(session.repository, older_than_s=MONTH_S) == []


def test_one_late_document_makes_a_run_young(tmp_path: Path, source: Path) -> None:
    with new_session(tmp_path / "r") as session:
        run = interrupted(session, source)
        age(tmp_path / "r", MONTH_S + 60)
        run.backup.workspace.put("g0/late", b"")
        assert old_runs(session.repository, older_than_s=MONTH_S) == []


def test_a_run_that_is_open_stays_however_old_and_looks_young_afterwards(
    tmp_path: Path, source: Path
) -> None:
    asked: list[str] = []

    def is_open(run_id: str) -> bool:
        asked.append(run_id)
        return True

    with new_session(tmp_path / "r") as session:
        run = interrupted(session, source)
        age(tmp_path / "r", MONTH_S + 60)
        before = documents(tmp_path / "r").keys()
        session.close()
        remove_old_runs(session.repository, older_than_s=MONTH_S, is_open=is_open)
        assert asked == [run.backup.run_id]
        assert documents(tmp_path / "r").keys() == before
        assert old_runs(session.repository, older_than_s=MONTH_S) == []


def test_a_server_that_does_not_answer_keeps_everything(tmp_path: Path, source: Path) -> None:
    def is_open(_: str) -> bool:
        raise StorageUnavailableError("no server answers")

    with new_session(tmp_path / "r") as session:
        interrupted(session, source)
        session.close()
        before = documents(tmp_path / "r")
        with pytest.raises(StorageUnavailableError):
            remove_old_runs(session.repository, older_than_s=ANY_AGE_S, is_open=is_open)
        assert documents(tmp_path / "r") == before
        assert [*session.repository.storage.list(LOCKS)] == []


def test_nothing_goes_while_somebody_uses_the_repository(tmp_path: Path, source: Path) -> None:
    with new_session(tmp_path / "r") as session:
        interrupted(session, source)
        session.close()
        before = documents(tmp_path / "r")
        with open_session(tmp_path / "r") as other, other.hold(), pytest.raises(RepositoryLockedError):
            remove_old_runs(session.repository, older_than_s=ANY_AGE_S, is_open=nobody, wait_s=0)
        assert documents(tmp_path / "r") == before


def test_the_server_is_asked_under_the_exclusive_lock(tmp_path: Path, source: Path) -> None:
    """A run that begins after the question cannot be opened before the removal is over."""

    def is_open(_: str) -> bool:
        with pytest.raises(RepositoryLockedError):
            LockLease(Repository.open(LocalStorage(tmp_path / "r"), PASSWORD)).acquire()
        return False

    with new_session(tmp_path / "r") as session:
        interrupted(session, source)
        session.close()
        remove_old_runs(session.repository, older_than_s=ANY_AGE_S, is_open=is_open)
        assert documents(tmp_path / "r") == {}


def test_a_clock_that_is_off_removes_nothing(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with new_session(tmp_path / "r") as session:
        interrupted(session, source)
        session.close()
        before = documents(tmp_path / "r")
        now = time.time_ns()
        monkeypatch.setattr(time, "time_ns", lambda: now + int(31 * DAY_S * 1e9))
        with pytest.raises(UsageError, match="clock"):
            remove_old_runs(session.repository, older_than_s=MONTH_S, is_open=nobody)
        assert documents(tmp_path / "r") == before


def test_what_a_killed_look_at_the_clock_has_left_is_not_believed_and_goes(
    tmp_path: Path, source: Path
) -> None:
    """It was dated when the clock was a month ahead."""
    with new_session(tmp_path / "r") as session:
        interrupted(session, source)
        session.close()
        left = tmp_path / "r" / CLOCK / "left"
        left.parent.mkdir(parents=True)
        left.touch()
        os.utime(left, (time.time() + MONTH_S, time.time() + MONTH_S))
        remove_old_runs(session.repository, older_than_s=ANY_AGE_S, is_open=nobody)
        assert documents(tmp_path / "r") == {}
        assert not left.exists()


def test_a_note_that_cannot_be_read_keeps_its_run(tmp_path: Path, source: Path) -> None:
    with new_session(tmp_path / "r") as session:
        run = interrupted(session, source)
        note = tmp_path / "r" / RUNS / run_name(session.repository, run.backup.run_id) / "run"
        note.chmod(0o600)
        note.write_bytes(bytes(100))
        assert old_runs(session.repository, older_than_s=ANY_AGE_S) == []


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
def test_killed_at_each_write(tmp_path: Path, source: Path, *, done: bool) -> None:
    """Whatever is left, the run can be gone on with, and the next janitor finishes."""
    kills = halves = 0
    while True:
        below = MemoryStorage()
        session = RepositorySession(Repository.init(below, PASSWORD, kdf=ScryptParameters.for_tests()))
        run = interrupted(session, source)
        session.close()
        dying = DyingStorage(below, kills, done=done)
        try:
            remove_old_runs(Repository.open(dying, PASSWORD), older_than_s=ANY_AGE_S, is_open=nobody)
        except Killed:
            kills += 1
        if not dying.dead:
            break
        below.delete_folder(LOCKS)  # as the next one does, which finds its process dead
        left = [*below.list(RUNS)]
        halves += any(stored.name.endswith("/tombstone") for stored in left)

        copy = MemoryStorage()
        for stored in [*below.list("data"), *below.list("index"), *below.list("keys"), *left]:
            copy.put(stored.name, below.get(stored.name, limit_bytes=1 << 30))
        copy.put("config", below.get("config", limit_bytes=1 << 20))
        remove_old_runs(Repository.open(copy, PASSWORD), older_than_s=ANY_AGE_S, is_open=nobody)
        assert [*copy.list(RUNS)] == []

        (source / "late").write_bytes(b"written after the run was interrupted %d" % kills)
        again = RepositorySession(Repository.open(below, PASSWORD))
        resumed = EngineRun(replace(run.backup, session=again), run.order)
        resumed.run()
        assert [*below.list(RUNS)] == []
        target = tmp_path / f"target-{done}-{kills}"
        restore(again, target, snapshot=f"latest:{source}")
        again.close()
        if any(stored.name.endswith("/tombstone") for stored in left):
            assert same(source, target)
        (source / "late").unlink()
    assert kills > 4
    assert halves > 1


def test_temporary_files_of_crashes_go_when_they_are_old(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    storage.put("data/00/pack", b"1")
    old, young = (tmp_path / "data/00" / f".holdfast-tmp-{name}" for name in ("old", "young"))
    for path in (old, young):
        path.write_bytes(b"half a pack")
    os.utime(old, (1, 1))
    assert storage.remove_leftovers(older_than_s=DAY_S, dry_run=True) == 1
    assert old.exists()
    assert storage.remove_leftovers(older_than_s=DAY_S) == 1
    assert (old.exists(), young.exists()) == (False, True)
    assert storage.get("data/00/pack", limit_bytes=9) == b"1"
