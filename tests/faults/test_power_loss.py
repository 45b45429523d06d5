"""The power goes at some step of a backup or a restore, on ext4: what was not flushed is lost.

Row 4 of the fault list. The process is killed on entering a call, and the file system shut down without flushing.
"""

import itertools
from collections.abc import Iterator

import pytest

from tests.support.comparison import same
from tests.support.disks import Disk, ext4
from tests.support.engine_process import backup, restore
from tests.support.faults import (
    KILL,
    Injection,
    Place,
    assert_sound,
    faulty_engine,
    fired_steps,
    leftovers,
    misnamed,
    torn,
)


@pytest.fixture
def disk(place: Place) -> Iterator[Disk]:
    with ext4(place.folder / "disk") as disk:
        yield disk


def begin(disk: Disk, place: Place, template: Place, *, with_snapshot: str) -> Place:
    """The repository on the disk, durable; the target will be there too."""
    on_disk = Place(folder=disk.folder)
    on_disk.reset(template, to=with_snapshot)
    disk.sync()
    return on_disk


def lose_power_in_backup(disk: Disk, place: Place, template: Place, call: str, step: int) -> bool:
    """Lose it at one step, look, go on, look again. False when there is no such step."""
    there = begin(disk, place, template, with_snapshot="earlier")
    fault = Injection(call=call, what=KILL, when=str(step))
    ended = faulty_engine("backup", there.repository, template.source, log=place.log, faults=[fault])
    disk.cut_power()
    if ended.fired:
        assert misnamed(there.repository) == []
        assert backup(there.repository, template.source)["errors"] == 0
    assert_sound(there.repository, snapshots=2)
    return ended.fired


def lose_power_in_restore(disk: Disk, place: Place, template: Place, call: str, step: int) -> bool:
    """The same for a restore."""
    there = begin(disk, place, template, with_snapshot="whole")
    fault = Injection(call=call, what=KILL, when=str(step))
    ended = faulty_engine(
        "restore", there.repository, there.target, template.source, log=place.log, faults=[fault]
    )
    disk.cut_power()
    if ended.fired:
        assert torn(template.source, there.target) == []
        answer = restore(there.repository, there.target, subfolder=template.source)
        assert answer == {"partial": False, "errors": 0, "ok": True}
    assert same(template.source, there.target)
    assert leftovers(there.target) == []
    return ended.fired


@pytest.mark.parametrize(("call", "step"), [("fsync", 12), ("link", 3)])
def test_a_backup_at_some_steps(disk: Disk, place: Place, template: Place, call: str, step: int) -> None:
    assert lose_power_in_backup(disk, place, template, call, step)


@pytest.mark.parametrize(("call", "step"), [("syncfs", 1), ("renameat", 5)])
def test_a_restore_at_some_steps(disk: Disk, place: Place, template: Place, call: str, step: int) -> None:
    assert lose_power_in_restore(disk, place, template, call, step)


def test_what_was_reported_done_is_durable(disk: Disk, place: Place, template: Place) -> None:
    there = begin(disk, place, template, with_snapshot="earlier")
    assert backup(there.repository, template.source)["errors"] == 0
    disk.cut_power()
    assert_sound(there.repository, snapshots=2)
    assert restore(there.repository, there.target, subfolder=template.source)["ok"] is True
    disk.cut_power()
    assert same(template.source, there.target)


def test_the_disk_does_lose_what_is_not_flushed(disk: Disk) -> None:
    (disk.folder / "file").write_bytes(b"not flushed")
    disk.cut_power()
    assert not (disk.folder / "file").exists()


@pytest.mark.faults
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("call", ["write", "fsync", "link", "rename", "unlink"])
def test_a_backup_at_each_step(disk: Disk, place: Place, template: Place, call: str) -> None:
    steps = (lose_power_in_backup(disk, place, template, call, step) for step in itertools.count(1))
    assert fired_steps(steps) > 0


@pytest.mark.faults
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("call", ["pwrite64", "syncfs", "renameat", "fsync", "link", "utimensat"])
def test_a_restore_at_each_step(disk: Disk, place: Place, template: Place, call: str) -> None:
    steps = (lose_power_in_restore(disk, place, template, call, step) for step in itertools.count(1))
    assert fired_steps(steps) > 0
