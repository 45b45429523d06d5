"""Disks that report errors, are full or read-only, and a process that runs out of descriptors.

Rows 5, 6, 7, 8, 10 and 11 of the fault list: typed errors, never a false success, and earlier snapshots stay whole.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.comparison import same
from tests.support.disks import remount, tmpfs
from tests.support.engine_process import backup, restore
from tests.support.faults import (
    Ended,
    Injection,
    Place,
    assert_sound,
    engine,
    faulty_engine,
    misnamed,
    torn,
)


def faulty_backup(place: Place, template: Place, *faults: Injection) -> Ended:
    ended = faulty_engine("backup", place.repository, template.source, log=place.log, faults=faults)
    assert ended.fired
    assert misnamed(place.repository) == []
    return ended


def faulty_restore(place: Place, template: Place, *faults: Injection) -> Ended:
    place.reset(template, to="whole")
    ended = faulty_engine(
        "restore", place.repository, place.target, template.source, log=place.log, faults=faults
    )
    assert ended.fired
    assert torn(template.source, place.target) == []
    return ended


def assert_typed(ended: Ended, error: str) -> None:
    """An error of this type, told in one or two lines, and nothing else."""
    assert ended.answer.get("error") == error, ended
    assert 1 <= len(str(ended.answer["text"]).splitlines()) <= 2
    assert "Traceback" not in ended.stderr


def assert_backup_goes_on(repository: Path, source: Path) -> None:
    assert_sound(repository, snapshots=1)
    assert backup(repository, source)["errors"] == 0
    assert_sound(repository, snapshots=2)


def assert_restore_goes_on(place: Place, template: Place) -> None:
    answer = restore(place.repository, place.target, subfolder=template.source)
    assert answer == {"partial": False, "errors": 0, "ok": True}
    assert same(template.source, place.target)


def test_a_failed_fsync_is_never_just_repeated(place: Place, template: Place) -> None:
    faults = [
        Injection(call="fsync", what="error=EIO"),
        Injection(call="close", what="delay_exit=1"),  # shows the calls of close in the log
    ]
    ended = faulty_backup(place, template, *faults)
    calls = place.log.read_text().splitlines()
    flushing: dict[
        str, str
    ] = {}  # the descriptor that a thread flushes; a call may take two lines of the log
    failures = 0
    for number, call in enumerate(calls):
        thread = call.split()[0]
        begun = re.search(r"fsync\((\d+)", call)
        if begun:
            flushing[thread] = begun[1]
        if "EIO" in call:
            failures += 1
            following = next(later for later in calls[number + 1 :] if later.startswith(f"{thread} "))
            assert f"close({flushing[thread]}" in following
    assert failures > 1, "each thread's first one fails"
    assert ended.answer.get("errors") == 0, ended
    assert_sound(place.repository, snapshots=2)


@pytest.mark.parametrize(
    ("call", "failure", "when", "error"),
    [
        ("fsync", "EIO", "4+", "StorageUnavailableError"),
        pytest.param("fsync", "ENOSPC", "4+", "StorageFullError", marks=pytest.mark.faults),
        ("write", "ENOSPC", "3", "StorageFullError"),
        pytest.param("write", "EDQUOT", "2", "StorageFullError", marks=pytest.mark.faults),
        pytest.param("link", "EIO", "2+", "StorageUnavailableError", marks=pytest.mark.faults),
    ],
)
def test_a_repository_on_a_failing_disk(
    place: Place, template: Place, call: str, failure: str, when: str, error: str
) -> None:
    fault = Injection(call=call, what=f"error={failure}", when=when)
    assert_typed(faulty_backup(place, template, fault), error)
    assert_backup_goes_on(place.repository, template.source)


@pytest.mark.parametrize(
    ("call", "failure", "when", "error"),
    [
        ("pwrite64", "ENOSPC", "3+", "StorageFullError"),
        pytest.param("fsync", "ENOSPC", "6+", "StorageFullError", marks=pytest.mark.faults),
        pytest.param("renameat", "EIO", "3", "", marks=pytest.mark.faults),
        ("pwrite64", "EIO", "3", ""),
    ],
)
def test_a_target_on_a_failing_disk(
    place: Place, template: Place, call: str, failure: str, when: str, error: str
) -> None:
    ended = faulty_restore(place, template, Injection(call=call, what=f"error={failure}", when=when))
    if error:
        assert_typed(ended, error)
        assert_restore_goes_on(place, template)
    else:
        assert ended.answer["partial"] is True


@pytest.fixture
def small(place: Place) -> Iterator[Path]:
    with tmpfs(place.folder / "small", "size=64m") as folder:
        yield folder


@pytest.mark.parametrize("short_of", ["bytes", "inodes"])
def test_a_full_repository(place: Place, template: Place, small: Path, short_of: str) -> None:
    there = Place(folder=small)
    there.reset(template, to="earlier")
    status = os.statvfs(small)
    if short_of == "bytes":
        remount(small, f"size={(status.f_blocks - status.f_bfree) * status.f_frsize + 200_000}")
    else:
        remount(small, f"nr_inodes={status.f_files - status.f_ffree + 8}")
    ended = engine("backup", there.repository, template.source)
    assert_typed(ended, "StorageFullError")
    assert misnamed(there.repository) == []
    assert_sound(there.repository, snapshots=1)
    remount(small, "size=64m,nr_inodes=9999")
    assert_backup_goes_on(there.repository, template.source)


def test_a_target_without_room_is_refused_before_anything_is_written(
    place: Place, template: Place, small: Path
) -> None:
    place.reset(template, to="whole")
    remount(small, "size=1m")
    ended = engine("restore", place.repository, small / "target", template.source)
    assert_typed(ended, "StorageFullError")
    assert not (small / "target").exists()


def test_a_target_that_gets_full(place: Place, template: Place, small: Path) -> None:
    place.reset(template, to="whole")
    remount(small, "nr_inodes=12")
    ended = engine("restore", place.repository, small / "target", template.source)
    assert_typed(ended, "StorageFullError")
    assert torn(template.source, small / "target") == []
    remount(small, "nr_inodes=9999")
    answer = restore(place.repository, small / "target", subfolder=template.source)
    assert answer == {"partial": False, "errors": 0, "ok": True}
    assert same(template.source, small / "target")


@pytest.mark.parametrize("verb", ["backup", "restore"])
def test_a_read_only_repository(place: Place, template: Place, small: Path, verb: str) -> None:
    there = Place(folder=small)
    there.reset(template, to="earlier")
    remount(small, "ro")
    where = template.source if verb == "backup" else place.target
    assert_typed(engine(verb, there.repository, where), "StorageDeniedError")
    assert not place.target.exists()
    assert_sound(there.repository, snapshots=1)


@pytest.mark.parametrize("descriptors", [5, 6, 7])
def test_a_process_without_descriptors(place: Place, template: Place, descriptors: int) -> None:
    """It fails in a way that a retry helps; it never blames the source's files."""
    ended = engine(
        "backup", place.repository, template.source, wrapper=["prlimit", f"--nofile={descriptors}"]
    )
    assert ended.answer.get("error") in {"StorageUnavailableError", "TemporaryError"}, ended
    assert_backup_goes_on(place.repository, template.source)


def test_a_limit_on_file_sizes_cuts_a_write_short(place: Place, template: Place) -> None:
    limit = ["prlimit", "--fsize=400000"]
    assert_typed(engine("backup", place.repository, template.source, wrapper=limit), "StorageDeniedError")
    assert misnamed(place.repository) == []
    assert_backup_goes_on(place.repository, template.source)
