"""Files that are restored in segments, by shards of their own: whole, durable before their names, and gone on with."""

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

from holdfast.repository.session import RepositorySession
from holdfast.restore.request import RestoreOptions
from holdfast.safe_fs import durable
from holdfast.safe_fs.directories import Directory
from holdfast.safe_fs.replace import replace
from holdfast.terms import Overwrite
from tests.support.comparison import same
from tests.support.engine import KIB, MIB, EngineRun, new_session
from tests.support.restore import EngineRestore

LARGE = 4 * MIB + 12_345


@dataclass(slots=True)
class Flushes:
    """What became durable, and got its name, in which order: inodes that were flushed, names that were given."""

    events: list[tuple[str, int | bytes]] = field(default_factory=list)

    def flushed(self) -> set[int | bytes]:
        return {what for kind, what in self.events if kind == "fsync"}


@pytest.fixture
def flushes(monkeypatch: pytest.MonkeyPatch) -> Flushes:
    """The calls as they are made, on a file system whose syncfs is not trusted: each file is flushed by itself."""
    seen = Flushes()
    fsync, rename = os.fsync, os.rename

    def watched_fsync(fd: int) -> None:
        seen.events.append(("fsync", os.fstat(fd).st_ino))
        fsync(fd)

    def watched_rename(source, target, **more) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN003
        seen.events.append(("name", os.path.basename(os.fsencode(target))))
        rename(source, target, **more)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "rename", watched_rename)
    monkeypatch.setattr(durable, "_SYNCFS_REACHES_DISK", frozenset())
    return seen


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    random = Random(5)
    (folder / "large").write_bytes(random.randbytes(LARGE))
    with (folder / "with-a-hole").open("wb") as file:
        file.write(random.randbytes(2 * MIB))
        file.seek(9 * MIB)
        file.write(random.randbytes(2 * MIB))
    for number in range(9):
        (folder / f"small-{number}").write_bytes(b"%d" % number * 1000)
    return folder


@pytest.fixture
def session(tmp_path: Path, source: Path) -> Iterator[RepositorySession]:
    with new_session(tmp_path / "repository", small=True) as session:
        EngineRun.of(session, source).run()
        yield session


def restore_of(
    session: RepositorySession, source: Path, target: Path, run_id: str = "restore", **more: object
) -> EngineRestore:
    options = RestoreOptions(snapshot=f"latest:{source}", target=bytes(target), **more)  # type: ignore[arg-type]
    return EngineRestore(session, options, run_id)


def segments_of(restore: EngineRestore, shards: int) -> dict[bytes, list[int]]:
    """Which shards are segments of which file."""
    found: dict[bytes, list[int]] = {}
    with restore.held() as run:
        for shard in range(shards):
            plan = run.plan.shard(shard)
            if plan.files[0].segments > 1:
                found.setdefault(plan.files[0].node.name, []).append(shard)
    return found


def test_files_come_whole_out_of_several_segments_shards_and_pages(
    tmp_path: Path, source: Path, session: RepositorySession
) -> None:
    restore = restore_of(session, source, tmp_path / "target")
    pages = restore.plan()
    shards = sum(page.shards for page in pages)
    segments = segments_of(restore, shards)
    assert len(pages) > 1
    assert {name: len(found) >= 3 for name, found in segments.items()} == {
        b"large": True,
        b"with-a-hole": True,
    }
    assert shards > sum(map(len, segments.values())) + 1
    result = restore.run()
    assert result.finished.errors_of_run == 0
    assert result.verified is not None
    assert result.verified.ok
    assert same(source, tmp_path / "target")
    assert (tmp_path / "target" / "with-a-hole").stat().st_blocks * 512 < 6 * MIB


def test_a_segment_is_durable_when_its_shard_says_so_and_the_file_before_it_has_its_name(
    tmp_path: Path, source: Path, session: RepositorySession, flushes: Flushes
) -> None:
    target = tmp_path / "target"
    restore = restore_of(session, source, target)
    pages = restore.plan()
    shards = sum(page.shards for page in pages)
    segments = segments_of(restore, shards)
    for name, numbers in segments.items():
        for number in numbers:
            flushes.events.clear()
            restore.shard(number)
            size = (source / os.fsdecode(name)).stat().st_size
            begun = [path.stat() for path in target.glob(".holdfast*")]
            (temporary,) = [status.st_ino for status in begun if status.st_size == size]
            assert temporary in flushes.flushed(), (name, number)
    for number in range(shards):
        restore.shard(number)
    flushes.events.clear()
    assert restore.complete(len(pages), shards).errors_of_run == 0
    for name in segments:
        inode = (target / os.fsdecode(name)).stat().st_ino
        assert flushes.events.index(("fsync", inode)) < flushes.events.index(("name", name))
    assert same(source, target)


def test_a_segment_that_no_shard_has_restored_is_missed(
    tmp_path: Path, source: Path, session: RepositorySession
) -> None:
    """Gone on with after a crash between two segments: what was left out is done, and only that."""
    target = tmp_path / "target"
    restore = restore_of(session, source, target)
    pages = restore.plan()
    shards = sum(page.shards for page in pages)
    numbers = segments_of(restore, shards)[b"large"]
    for number in range(shards):
        if number != numbers[1]:
            restore.shard(number)
    assert not (target / "large").exists()
    assert restore.run().finished.errors_of_run == 0
    assert same(source, target)


@pytest.mark.parametrize("rule", [Overwrite.ALWAYS, Overwrite.IF_CHANGED])
def test_segments_that_the_old_file_has_right_are_taken_over(
    tmp_path: Path, source: Path, session: RepositorySession, rule: Overwrite
) -> None:
    target = tmp_path / "target"
    target.mkdir()
    old = bytearray((source / "large").read_bytes())
    old[3 * MIB] ^= 1
    (target / "large").write_bytes(old)
    result = restore_of(session, source, target, overwrite=rule).run()
    assert result.finished.errors_of_run == 0
    assert result.counts.bytes_kept > 0
    for path in source.iterdir():  # the target was there before, and keeps its own attributes
        assert (target / path.name).read_bytes() == path.read_bytes()
        assert (target / path.name).stat().st_mtime_ns == path.stat().st_mtime_ns


def test_a_large_file_whose_content_is_lost_gets_none_of_its_names(
    tmp_path: Path, source: Path, session: RepositorySession
) -> None:
    """Its segments fail and say so; the second name would be one of nothing."""
    (source / "second").hardlink_to(source / "large")
    EngineRun.of(session, source, run_id="with-second").run()
    with session.hold() as held:
        for pack in held.index.packs():
            if pack.size_bytes > 64 * KIB:
                (tmp_path / "repository" / "data" / pack.id.hex()[:2] / pack.id.hex()).unlink()
    restored = restore_of(session, source, tmp_path / "target").run()
    assert {b"/large", b"/second"} <= restored.failures.keys()
    assert restored.failures[b"/second"] == "the file that it is another name of was not restored"
    assert not (tmp_path / "target" / "large").exists()
    assert not (tmp_path / "target" / "second").exists()


def test_what_stands_where_a_large_file_could_not_be_named_gets_no_second_name(
    tmp_path: Path, source: Path, session: RepositorySession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its second name would show the content of a file that nobody asked for, as restored."""
    (source / "second").hardlink_to(source / "large")
    EngineRun.of(session, source, run_id="with-second").run()
    target = tmp_path / "target"
    target.mkdir()
    (target / "large").write_bytes(b"of another time")

    def refusing(parent: Directory, temporary: bytes, name: bytes, **more: Any) -> None:
        if name == b"large":
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        replace(parent, temporary, name, **more)

    monkeypatch.setattr("holdfast.restore.finish.steps.replace", refusing)
    restored = restore_of(session, source, target).run()
    assert (target / "large").read_bytes() == b"of another time"
    assert {b"/large", b"/second"} <= restored.failures.keys()
    assert not (target / "second").exists()
