"""SIGKILL before each write, flush, rename and removal of a small backup, restore and prune; then they go on.

Rows 1, 2, 3 and 20 of the fault list. Some steps in `make test`; all of them, one after the other, in `make faults`.
"""

import itertools
import json
import shutil

import pytest

from tests.support.comparison import same
from tests.support.engine_process import backup, prune, restore
from tests.support.faults import (
    KILL,
    Injection,
    Place,
    assert_sound,
    faulty_engine,
    fired_steps,
    leftovers,
    misnamed,
    stock_restic,
    torn,
)

BACKUP_CALLS = ("fallocate", "write", "fsync", "link", "rename", "unlink", "rmdir", "mkdir")
PRUNE_CALLS = ("write", "fsync", "link", "rename", "unlink")
RESTORE_CALLS = (
    *("pwrite64", "ftruncate", "fchown", "utimensat", "fsync", "syncfs", "renameat", "symlinkat", "mkdirat"),
    *("write", "link", "rename", "unlink", "unlinkat"),
)


def kill_backup(place: Place, template: Place, call: str, step: int) -> bool:
    """Kill a backup at one step, look, go on, look again. False when there is no such step."""
    place.reset(template, to="earlier")
    fault = Injection(call=call, what=KILL, when=str(step))
    ended = faulty_engine("backup", place.repository, template.source, log=place.log, faults=[fault])
    assert ended.killed == ended.fired
    if not ended.fired:
        return False
    assert misnamed(place.repository) == []
    assert backup(place.repository, template.source)["errors"] == 0
    assert_sound(place.repository, snapshots=2)
    return True


def kill_restore(place: Place, template: Place, call: str, step: int) -> bool:
    """The same for a restore."""
    place.reset(template, to="whole")
    fault = Injection(call=call, what=KILL, when=str(step))
    ended = faulty_engine(
        "restore", place.repository, place.target, template.source, log=place.log, faults=[fault]
    )
    assert ended.killed == ended.fired
    if not ended.fired:
        return False
    assert torn(template.source, place.target) == []
    answer = restore(place.repository, place.target, subfolder=template.source)
    assert answer == {"partial": False, "errors": 0, "ok": True}
    assert same(template.source, place.target)
    assert leftovers(place.target) == []
    return True


def kill_prune(place: Place, template: Place, call: str, step: int) -> bool:
    """The same for a prune: the older of two snapshots was forgotten."""
    place.reset(template, to="whole")
    older = json.loads(stock_restic(place.repository, "snapshots", "--json"))[0]["id"]
    (place.repository / "snapshots" / older).unlink()
    fault = Injection(call=call, what=KILL, when=str(step))
    ended = faulty_engine("prune", place.repository, log=place.log, faults=[fault])
    assert ended.killed == ended.fired
    if not ended.fired:
        return False
    assert misnamed(place.repository) == []
    assert_sound(place.repository, snapshots=1)
    assert prune(place.repository)["left"] == 0
    assert_sound(place.repository, snapshots=1)
    return True


@pytest.mark.parametrize(("call", "step"), [("fsync", 9), ("link", 3)])
def test_a_backup_killed_at_some_steps(place: Place, template: Place, call: str, step: int) -> None:
    assert kill_backup(place, template, call, step)


@pytest.mark.parametrize(("call", "step"), [("unlink", 4), ("unlink", 9), ("rename", 3)])
def test_a_prune_killed_at_some_steps(place: Place, template: Place, call: str, step: int) -> None:
    assert kill_prune(place, template, call, step)


@pytest.mark.faults
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("call", PRUNE_CALLS)
def test_a_prune_killed_at_each_step(place: Place, template: Place, call: str) -> None:
    assert fired_steps(kill_prune(place, template, call, step) for step in itertools.count(1)) > 0


@pytest.mark.parametrize(("call", "step"), [("pwrite64", 5), ("renameat", 4)])
def test_a_restore_killed_at_some_steps(place: Place, template: Place, call: str, step: int) -> None:
    assert kill_restore(place, template, call, step)


@pytest.mark.faults
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("call", BACKUP_CALLS)
def test_a_backup_killed_at_each_step(place: Place, template: Place, call: str) -> None:
    assert fired_steps(kill_backup(place, template, call, step) for step in itertools.count(1)) > 0


@pytest.mark.faults
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("call", RESTORE_CALLS)
def test_a_restore_killed_at_each_step(place: Place, template: Place, call: str) -> None:
    assert fired_steps(kill_restore(place, template, call, step) for step in itertools.count(1)) > 0


@pytest.mark.faults
@pytest.mark.timeout(1200)
def test_a_backup_killed_again_and_again(place: Place, template: Place) -> None:
    """Never reset: each attempt goes on from what the one before has left, and dies one step later."""
    for step in itertools.count(2):
        fault = Injection(call="fsync", what=KILL, when=str(step))
        ended = faulty_engine("backup", place.repository, template.source, log=place.log, faults=[fault])
        assert misnamed(place.repository) == []
        if not ended.fired:
            break
        shutil.rmtree(place.repository / "locks")
    assert_sound(place.repository, snapshots=2)
