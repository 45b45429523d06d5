"""Sources that cannot be read, or change while they are read: listed and flagged, never followed out, never a hang.

Rows 14 and 15 of the fault list.
"""

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from holdfast.backup.documents import CommitResult
from holdfast.backup.report import file_records
from holdfast.file_list import FileAction
from tests.support.comparison import MIB, plant
from tests.support.engine import EngineRun, new_session
from tests.support.engine_process import restore
from tests.support.faults import Injection, Place, assert_sound, engine, faulty_engine, stock_restic

OUTSIDE = b"what stands outside of the source"
WITHOUT_ROOTS_PRIVILEGE = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")


@pytest.fixture
def there(tmp_path: Path) -> Place:
    """A source of its own, which may be changed, and an empty repository."""
    place = Place(folder=tmp_path)
    place.source.mkdir()
    plant(place.source, files=12, large_bytes=9 * MIB)
    with new_session(place.repository):
        pass
    return place


def back_up(there: Place, meanwhile: Callable[[], None]) -> tuple[CommitResult, dict[bytes, str]]:
    """A backup during which something happens after the walk; the result, and the paths that failed with why."""
    with new_session(there.folder / "again") as session:
        shutil.rmtree(there.repository)
        run = EngineRun.of(session, there.source)
        run.open()
        pages = run.select()
        meanwhile()
        shards = sum(page.shards for page in pages)
        for shard in range(shards):
            run.store(shard)
        result = run.commit(pages).result
        assert result is not None
        records = list(file_records(run.backup, len(pages), shards))
    (there.folder / "again").rename(there.repository)
    return result, {r.path: r.message for r in records if r.action is FileAction.UNREADABLE}


def nodes(there: Place) -> dict[str, int]:
    """Size of each file of the snapshot, as restic lists it, by path below the source."""
    lines = stock_restic(there.repository, "ls", "--json", "latest").splitlines()
    listed = [json.loads(line) for line in lines]
    return {
        os.path.relpath(node["path"], there.source): node["size"]
        for node in listed
        if node.get("type") == "file"
    }


def assert_sizes_are_those_of_the_content(there: Place) -> None:
    """What is restored has the size that its node says; so the blobs have it too."""
    answer = restore(there.repository, there.target, subfolder=there.source)
    assert answer["ok"] is True
    for name, size in nodes(there).items():
        assert (there.target / name).stat().st_size == size


def assert_partial(there: Place, failed: int) -> None:
    (snapshot,) = json.loads(stock_restic(there.repository, "snapshots", "--json"))
    assert any("partial" in tag for tag in snapshot["tags"])
    assert_sound(there.repository, snapshots=1)
    assert len(nodes(there)) == 13 - failed


def test_an_error_in_the_middle_of_a_file(there: Place) -> None:
    fault = Injection(call="readv", what="error=EIO", when="5")
    ended = faulty_engine("backup", there.repository, there.source, log=there.log, faults=[fault])
    assert ended.fired
    assert ended.answer["errors"] == 1
    assert_partial(there, failed=1)


def test_files_that_may_not_be_read(there: Place) -> None:
    (there.source / "canary-large").chmod(0)
    (there.source / "canary-dir-1").chmod(0)
    inside = sum(1 for _ in (there.source / "canary-dir-1").iterdir())
    ended = engine("backup", there.repository, there.source, wrapper=WITHOUT_ROOTS_PRIVILEGE)
    assert ended.answer["errors"] == 2
    assert_partial(there, failed=1 + inside)


def test_what_vanishes_after_the_walk_is_listed(there: Place) -> None:
    def vanish() -> None:
        (there.source / "canary-large").unlink()
        shutil.rmtree(there.source / "canary-dir-2")

    result, failures = back_up(there, vanish)
    assert result.partial
    gone = {os.fsencode(there.source / "canary-large")}
    assert gone < set(failures)
    assert set(failures.values()) == {"No such file or directory"}
    assert_partial(there, failed=len(failures))


@pytest.mark.parametrize(
    ("becomes", "large"),
    [
        ("link", True),
        pytest.param("link", False, marks=pytest.mark.faults),
        pytest.param("fifo", True, marks=pytest.mark.faults),
        ("fifo", False),
        pytest.param("directory", True, marks=pytest.mark.faults),
        pytest.param("device", False, marks=pytest.mark.faults),
    ],
)
def test_what_takes_the_place_of_a_file_is_not_read(there: Place, becomes: str, large: bool) -> None:  # noqa: FBT001
    outside = there.folder / "outside"
    outside.write_bytes(OUTSIDE)
    file = there.source / ("canary-large" if large else "canary-dir-1/canary-file-1")

    def swap() -> None:
        file.unlink()
        match becomes:
            case "link":
                file.symlink_to(outside)
            case "fifo":
                os.mkfifo(file)
            case "directory":
                file.mkdir()
            case _:
                os.mknod(file, 0o600 | 0o020000, os.makedev(1, 5))

    result, failures = back_up(there, swap)
    assert result.partial
    assert failures == {os.fsencode(file): "no longer a regular file"}
    assert_partial(there, failed=1)


def test_a_link_that_takes_the_place_of_a_directory_is_not_followed(there: Place) -> None:
    outside = there.folder / "outside"
    directory = there.source / "canary-dir-1"
    names = {os.fsencode(path) for path in directory.iterdir()}
    outside.mkdir()
    for name in names:
        (outside / os.fsdecode(os.path.basename(name))).write_bytes(OUTSIDE)

    def swap() -> None:
        shutil.rmtree(directory)
        directory.symlink_to(outside)

    _, failures = back_up(there, swap)
    assert set(failures) == names
    assert_partial(there, failed=len(names))


@pytest.mark.parametrize("size", [3 * MIB, 20 * MIB])
def test_a_file_of_another_size_than_planned(there: Place, size: int) -> None:
    result, failures = back_up(there, lambda: os.truncate(there.source / "canary-large", size))
    assert not result.partial
    assert failures == {}
    assert nodes(there)["canary-large"] == size
    assert_sizes_are_those_of_the_content(there)


@pytest.fixture
def restless(there: Place) -> Iterator[list[int]]:
    """Somebody who all the time lets one file grow, and another be cut and grow again; how often."""
    stop, rounds = threading.Event(), [0]
    growing, breathing = there.source / "canary-growing", there.source / "canary-breathing"

    def change() -> None:
        while not stop.is_set():
            with growing.open("ab") as file:
                file.write(bytes(range(256)))
            breathing.write_bytes(b"x" * (rounds[0] % 7) * 3 * MIB)
            rounds[0] += 1

    thread = threading.Thread(target=change)
    thread.start()
    while rounds[0] < 8:
        pass
    yield rounds
    stop.set()
    thread.join()


def test_files_that_change_all_the_time(there: Place, restless: list[int]) -> None:
    before = restless[0]
    slow = Injection(call="readv", what="delay_exit=20000", when="1+")
    ended = faulty_engine("backup", there.repository, there.source, log=there.log, faults=[slow])
    assert restless[0] > before
    assert ended.answer["errors"] == 0
    assert_sound(there.repository, snapshots=1)
    assert_sizes_are_those_of_the_content(there)
