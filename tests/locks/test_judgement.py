"""Which locks are removed unasked, and which never: by process, by age, by clock."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from holdfast.errors import RepositoryLockedError
from holdfast.format.lock import Holder, Lock, decode_lock, encode_lock
from holdfast.format.times import format_time
from holdfast.ids import LockId, from_hex
from holdfast.repository.exclusive import ExclusiveLock
from holdfast.repository.identity import is_gone, started_at, this_host, this_place
from holdfast.repository.layout import LOCKS, file_name
from holdfast.repository.lock_files import remove_dead_locks, standing_locks, take_lock
from holdfast.repository.repository import Repository
from tests.support.engine import new_session, open_session

_MINUTE_NS = 60 * 10**9


class Locks:
    """A repository, and locks of others in it."""

    def __init__(self, folder: Path, repository: Repository) -> None:
        self.repository = repository
        self._folder = folder / LOCKS

    def plant(
        self,
        *,
        text_minutes: float = 0,
        file_minutes: float = 0,
        exclusive: bool = False,
        host: str = "",
        pid: int = 0,
        holder: Holder | None = None,
    ) -> Path:
        """A lock that says so many minutes, and that the storage has had for so many."""
        now = time.time_ns()
        lock = Lock(
            time=format_time(now - int(text_minutes * _MINUTE_NS)),
            exclusive=exclusive,
            hostname=host or this_host(),
            username="somebody",
            pid=pid or os.getpid(),
            holdfast=holder,
        )
        path = self._folder / self.repository.save_file(LOCKS, encode_lock(lock)).hex()
        written_ns = now - int(file_minutes * _MINUTE_NS)
        os.utime(path, ns=(written_ns, written_ns))
        return path

    def lock(self, *, exclusive: bool = False) -> None:
        """Take a lock, and give it back."""
        lock_id = take_lock(self.repository, exclusive=exclusive)
        self.repository.storage.delete(file_name(LOCKS, lock_id))


@pytest.fixture
def locks(tmp_path: Path) -> Locks:
    with new_session(tmp_path / "repository") as session:
        return Locks(tmp_path / "repository", session.repository)


def test_our_locks_say_whose_they_are(tmp_path: Path) -> None:
    with new_session(tmp_path / "repository") as session, session.hold():
        (path,) = (tmp_path / "repository" / LOCKS).iterdir()
        lock = decode_lock(session.repository.load_file(LOCKS, LockId(from_hex(path.name))))
    assert lock.holdfast == Holder(place=this_place(), started=started_at(os.getpid()) or -1)
    assert this_place()


def test_our_own_dead_lock_goes_at_once_even_an_exclusive_one(locks: Locks, dead: tuple[int, int]) -> None:
    pid, started = dead
    own = Holder(place=this_place(), started=started)
    shared, exclusive = locks.plant(pid=pid, holder=own), locks.plant(pid=pid, holder=own, exclusive=True)
    locks.lock(exclusive=True)
    assert not shared.exists()
    assert not exclusive.exists()


def test_a_number_that_another_process_has_by_now_is_of_a_dead_one(locks: Locks) -> None:
    started = started_at(os.getpid())
    assert started is not None
    lives = locks.plant(holder=Holder(place=this_place(), started=started))
    died = locks.plant(holder=Holder(place=this_place(), started=started - 1))
    assert remove_dead_locks(locks.repository) == 1
    assert lives.exists()
    assert not died.exists()


@pytest.mark.parametrize(
    "where",
    ["another namespace", "another boot", "unknown", "restic"],
)
@pytest.mark.parametrize("exclusive", [False, True])
def test_a_process_that_cannot_be_seen_may_live(
    locks: Locks, dead: tuple[int, int], where: str, *, exclusive: bool
) -> None:
    """The same host name says nothing: containers have it, and machines that were cloned."""
    boot, *namespaces = this_place().split(":")
    place = {
        "another namespace": ":".join([boot, "4026532999", *namespaces[1:]]),
        "another boot": ":".join(["00000000-0000-4000-8000-000000000000", *namespaces]),
        "unknown": "",
        "restic": "",
    }[where]
    pid, started = dead
    holder = None if where == "restic" else Holder(place=place, started=started)
    path = locks.plant(pid=pid, holder=holder, exclusive=exclusive, text_minutes=29, file_minutes=29)
    with pytest.raises(RepositoryLockedError):
        locks.lock(exclusive=True)
    assert remove_dead_locks(locks.repository) == 0
    assert path.exists()


@pytest.mark.parametrize(
    ("text_minutes", "file_minutes", "goes"),
    [
        (31, 31, True),
        (29, 31, False),  # its clock says that it lives
        (31, 29, False),  # its clock is behind: the storage knows that it lives
        (45, 0, False),
        (0, 45, False),
        (-45, 45, False),  # from the future
    ],
)
def test_age_is_that_of_text_and_file(
    locks: Locks, text_minutes: int, file_minutes: int, *, goes: bool
) -> None:
    path = locks.plant(text_minutes=text_minutes, file_minutes=file_minutes, host="elsewhere")
    if goes:
        locks.lock(exclusive=True)
    else:
        with pytest.raises(RepositoryLockedError, match="in use by somebody on elsewhere"):
            locks.lock(exclusive=True)
    assert path.exists() is not goes


@pytest.mark.parametrize("minutes", [0, 31, 60 * 24 * 30])
def test_an_exclusive_lock_of_others_is_never_removed_unasked(locks: Locks, minutes: int) -> None:
    path = locks.plant(text_minutes=minutes, file_minutes=minutes, exclusive=True, host="elsewhere")
    for exclusive in (False, True):
        with pytest.raises(RepositoryLockedError, match="locked exclusively") as refused:
            locks.lock(exclusive=exclusive)
        assert "holdfast unlock" in (refused.value.hint or "")
    assert path.exists()


def test_age_is_measured_by_the_storage_and_not_by_our_clock(
    locks: Locks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Our clock is an hour ahead: all others look old to it, and none is."""
    path = locks.plant(text_minutes=5, file_minutes=5, host="elsewhere")
    ahead = time.time_ns() + 60 * _MINUTE_NS
    monkeypatch.setattr("holdfast.repository.lock_files.time.time_ns", lambda: ahead)
    with pytest.raises(RepositoryLockedError):
        locks.lock(exclusive=True)
    assert path.exists()
    assert "60 minutes ahead" in caplog.text


def test_one_from_the_future_says_so_and_what_to_do(locks: Locks) -> None:
    locks.plant(text_minutes=-90, exclusive=True, host="elsewhere")
    with pytest.raises(RepositoryLockedError, match="in the future") as refused:
        locks.lock()
    assert "holdfast unlock --remove-all" in (refused.value.hint or "")


def test_the_lock_of_another_user_s_process_is_not_dead() -> None:
    started = started_at(1)
    assert started is not None
    assert not is_gone(this_place(), 1, started)


def test_an_unreadable_lock_may_be_anybodys(locks: Locks, tmp_path: Path) -> None:
    (tmp_path / "repository" / LOCKS / ("0" * 64)).write_bytes(b"")
    with pytest.raises(RepositoryLockedError, match="cannot be read"):
        locks.lock()
    assert remove_dead_locks(locks.repository) == 0


def test_a_killed_process_leaves_an_exclusive_lock_that_blocks_nobody(tmp_path: Path) -> None:
    with new_session(tmp_path / "repository"):
        pass
    code = (
        "import sys, time; from pathlib import Path; from tests.support.engine import open_session\n"
        "from holdfast.repository.exclusive import ExclusiveLock\n"
        f"with open_session(Path({str(tmp_path / 'repository')!r})) as s, ExclusiveLock(s.repository):\n"
        "    print('held', flush=True); time.sleep(600)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    with open_session(tmp_path / "repository") as session:
        with pytest.raises(RepositoryLockedError, match="locked exclusively"):
            session.lease.acquire()
        process.kill()
        process.communicate()
        with session.hold():
            pass
        session.close()
        with ExclusiveLock(session.repository):
            pass


def test_who_keeps_the_exclusive_lock_away_is_named(locks: Locks, dead: tuple[int, int]) -> None:
    pid, started = dead
    locks.plant(host="far", pid=7)
    locks.plant(pid=pid, holder=Holder(place=this_place(), started=started))
    locks.plant(text_minutes=40, file_minutes=40, host="gone", pid=8)
    ours = started_at(os.getpid())
    assert ours is not None
    locks.plant(holder=Holder(place=this_place(), started=ours))
    found = sorted(standing_locks(locks.repository), key=lambda lock: lock.process)
    assert [lock.holder.partition(", since")[0] for lock in found] == [
        "somebody on far, process 7",
        f"somebody on {this_host()}, process {os.getpid()}",
    ]
    assert found[0].process == ""
    assert found[1].process == f"{this_place()}/{os.getpid()}/{ours}"
