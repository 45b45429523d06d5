"""`unlock` removes the locks of the dead and says why the others stay; --remove-all removes all."""

import os
from pathlib import Path

import pytest

from holdfast.format.lock import Holder
from holdfast.repository.identity import started_at, this_place
from holdfast.repository.layout import LOCKS
from holdfast.repository.unlock import unlock
from tests.locks.conftest import dead as dead  # noqa: PLC0414 - a fixture
from tests.locks.test_judgement import Locks
from tests.repair.conftest import Commands
from tests.support.engine import new_session


@pytest.fixture
def locks(tmp_path: Path) -> Locks:
    with new_session(tmp_path / "repository") as session:
        return Locks(tmp_path / "repository", session.repository)


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize(
    ("text_minutes", "file_minutes", "goes"),
    [(31, 31, True), (29, 31, False), (31, 29, False), (0, 45, False), (-45, 45, False), (0, 0, False)],
)
def test_what_is_asked_goes_by_text_and_file_whatever_its_kind(
    locks: Locks, text_minutes: int, file_minutes: int, *, exclusive: bool, goes: bool
) -> None:
    path = locks.plant(
        text_minutes=text_minutes, file_minutes=file_minutes, exclusive=exclusive, host="elsewhere"
    )
    (judged,) = unlock(locks.repository)
    assert (judged.removed, path.exists()) == (goes, not goes)
    assert os.listdir(path.parent) == ([] if goes else [path.name])


def test_our_dead_go_at_once_and_our_living_stay(locks: Locks, dead: tuple[int, int]) -> None:
    pid, started = dead
    own = started_at(os.getpid())
    assert own is not None
    died = locks.plant(pid=pid, holder=Holder(place=this_place(), started=started), exclusive=True)
    lives = locks.plant(holder=Holder(place=this_place(), started=own))
    unlock(locks.repository)
    assert (died.exists(), lives.exists()) == (False, True)


def test_the_command_tells_who_stays_and_removes_all_when_it_is_asked(
    locks: Locks, commands: Commands
) -> None:
    old = locks.plant(text_minutes=40, file_minutes=40, exclusive=True)
    living = locks.plant(host="elsewhere", pid=4711)
    unreadable = living.with_name("ab" * 32)
    unreadable.write_bytes(b"no lock")
    said = commands("unlock")
    assert "somebody on elsewhere, process 4711) stays: it was written 0 minutes ago" in said
    assert f"the lock {unreadable.name[:8]} stays: it cannot be read" in said
    assert "removed 1 lock\n" in said
    assert not old.exists()
    (told,) = commands.json("unlock")
    assert {lock["id"]: lock["removed"] for lock in told["locks"]} == {
        living.name: False,
        unreadable.name: False,
    }
    assert commands("unlock", "--remove-all") == "successfully removed 2 locks\n"
    assert os.listdir(commands.repository / LOCKS) == []
    assert commands("unlock") == ""
