"""Somebody swaps a directory of the target for a link while a restore runs: nothing goes where the link points."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from holdfast.file_list import FileAction
from holdfast.restore.request import RestoreOptions
from holdfast.restore.shard.shard import restore_shard
from tests.restore.conftest import FILES, Place
from tests.support.engine import EngineRun
from tests.support.restore import EngineRestore, records_of


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    canary = tmp_path / "canary"
    (canary / "deep").mkdir(parents=True)
    (canary / "deep/notes").write_bytes(b"canary")
    return canary


def state(folder: Path) -> dict[str, tuple[int, int]]:
    found = [folder, *folder.rglob("*")]
    return {str(path): (path.lstat().st_ino, path.lstat().st_mtime_ns) for path in found}


def swap(place: Place, canary: Path) -> None:
    if (place.target / "docs").is_symlink():
        return
    shutil.rmtree(place.target / "docs", ignore_errors=True)
    place.target.mkdir(exist_ok=True)
    (place.target / "docs").symlink_to(canary)


def run_of(place: Place, **options: object) -> EngineRestore:
    asked = RestoreOptions(target=bytes(place.target), snapshot=f"latest:{place.source}", **options)  # type: ignore[arg-type]  # test data
    return EngineRestore(place.session, asked)


def test_before_the_shards(place: Place, canary: Path) -> None:
    place.restore()
    before = state(canary)
    run = run_of(place)
    pages = run.plan()
    swap(place, canary)
    for shard in range(pages[0].shards):
        run.shard(shard)
    finished = run.complete(len(pages), pages[0].shards)
    assert finished.partial
    assert state(canary) == before


def test_between_the_files_of_a_shard(place: Place, canary: Path) -> None:
    before = state(canary)
    run = run_of(place)
    pages = run.plan()

    def exchange(*_: object) -> None:
        swap(place, canary)

    with run.held() as held:
        for shard in range(pages[0].shards):
            asyncio.run(restore_shard(held, shard, exchange))
    run.complete(len(pages), pages[0].shards)
    assert state(canary) == before
    with run.held() as held:
        failed = {
            record.path: record.message
            for record in records_of(held, len(pages), pages[0].shards)
            if record.action is FileAction.FAILED
        }
    assert failed[b"/readme"] == "the file that it is another name of was not restored"


@pytest.mark.parametrize("delete", [True, False])
def test_before_the_finish(place: Place, canary: Path, delete: bool) -> None:  # noqa: FBT001 -- a parameter
    before = state(canary)
    run = run_of(place, delete=delete)
    pages = run.plan()
    for shard in range(pages[0].shards):
        run.shard(shard)
    swap(place, canary)
    finished = run.complete(len(pages), pages[0].shards)
    assert finished.partial
    assert state(canary) == before
    assert (place.target / "bin/tool").read_bytes() == FILES["bin/tool"]


def test_the_source_is_not_left_through_a_link_either(place: Place, canary: Path) -> None:
    """The walk has seen a directory; when its files are read, a link to another place is there instead."""
    (place.source / "docs/new").write_bytes(b"new")
    run = EngineRun.of(place.session, place.source, run_id="second", strategy="full")
    run.open()
    pages = run.select()
    shutil.rmtree(place.source / "docs")
    (canary / "guide").write_bytes(b"secret")
    (place.source / "docs").symlink_to(canary)
    for shard in range(sum(page.shards for page in pages)):
        run.store(shard)
    outcome = run.commit(pages)
    assert outcome.result is not None
    assert outcome.result.partial
    (place.source / "docs").unlink()
    back = place.restore()
    assert not (place.target / "docs/guide").exists() or back.failures
    assert not [path for path in place.target.rglob("guide") if path.read_bytes() == b"secret"]
    assert os.path.lexists(place.target / "bin/tool")


@pytest.mark.parametrize("swapped", ["docs", "docs/deep"])
def test_a_way_of_a_restore_in_place_that_becomes_a_link_while_it_runs(
    place: Place, canary: Path, swapped: str
) -> None:
    """Links that were there when the restore was planned are the owner's own; one that comes later is refused."""
    (place.source / "docs/deep/notes").unlink()
    asked = RestoreOptions(snapshot=f"latest:{place.source}", exact_paths=(b"/docs/deep/notes",))
    run = EngineRestore(place.session, asked)
    pages = run.plan()
    before = state(canary)
    shutil.rmtree(place.source / swapped)
    (place.source / swapped).symlink_to(canary)
    for shard in range(pages[0].shards):
        run.shard(shard)
    finished = run.complete(len(pages), pages[0].shards)
    assert finished.partial
    assert state(canary) == before
