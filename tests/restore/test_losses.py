"""Content first: what the target refuses is told once for each path, and is no damage; the file is there."""

import errno
import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from holdfast.repository.session import RepositorySession
from holdfast.restore.plan import space
from holdfast.safe_fs.attributes import kind_of_loss
from tests.restore.users import NOBODY, as_root, folder_of_nobody, ordinary_user
from tests.support.engine import EngineRun, new_session, open_session
from tests.support.restore import Restored, restore

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount, and give files away")
AS_ROOT_NOW = os.geteuid() == 0
NS = 10**9
YEAR_2100_NS = 4_102_444_800 * NS
YEAR_2400_NS = 13_569_465_600 * NS


@pytest.fixture
def session(tmp_path: Path) -> Iterator[RepositorySession]:
    with new_session(tmp_path / "repository") as opened:
        yield opened


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source/d").mkdir(parents=True)
    (tmp_path / "source/f").write_bytes(b"content")
    return tmp_path / "source"


def losses(restored: Restored) -> set[tuple[bytes, str]]:
    return {
        (record.path, kind_of_loss(record.message))
        for record in restored.records
        if record.action.value == "warning"
    }


def assert_no_damage(restored: Restored) -> None:
    assert not restored.failures
    assert restored.verified is not None
    assert restored.verified.problems == ()
    assert restored.finished.partial is (losses(restored) != set())
    assert restored.counts.incomplete == len({path for path, _ in losses(restored)})


def refuse(*_: Any, **__: Any) -> NoReturn:
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


@AS_ROOT
def test_without_root_an_owner_is_lost_and_so_are_set_id_bits() -> None:
    with folder_of_nobody() as place:
        (place / "source").mkdir()
        (place / "source/f").write_bytes(b"content")
        os.chown(place / "source/f", 1234, 1234)
        (place / "source/f").chmod(0o4755)
        os.setxattr(place / "source/f", "trusted.k", b"v")
        with new_session(place / "repository") as session:
            EngineRun.of(session, place / "source").run()
        shutil.copytree(place / "repository", place / "copy")
        subprocess.run(["chown", "-R", "nobody:", place / "copy"], check=True)
        with ordinary_user(), open_session(place / "copy") as session:
            restored = restore(session, place / "target", snapshot=f"latest:{place / 'source'}")
        assert (place / "target/f").read_bytes() == b"content"
        assert stat.S_IMODE((place / "target/f").stat().st_mode) == 0o755
    assert {(b"/f", "owner"), (b"/f", "attribute 'trusted.k'")} <= losses(restored)
    assert restored.finished.partial
    assert not restored.failures


@AS_ROOT
def test_an_ordinary_user_gets_the_files_of_another_group_without_alarm() -> None:
    """It is listed, and no more: whose file it is is restored, and nobody can have groups that they are not in."""
    with folder_of_nobody() as place, ordinary_user(), new_session(place / "repository") as session:
        (place / "source").mkdir()
        (place / "source/f").write_bytes(b"content")
        with as_root():
            os.chown(place / "source/f", NOBODY, 1234)
        EngineRun.of(session, place / "source").run()
        restored = restore(session, place / "target", snapshot=f"latest:{place / 'source'}")
    assert losses(restored) == {(b"/f", "group")}
    assert not restored.finished.partial
    assert restored.counts.incomplete == 0


@pytest.mark.parametrize("call", ["chown", "chmod", "utime", "listxattr"])
def test_a_target_that_refuses_keeps_the_content(
    session: RepositorySession, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """What FAT and network file systems say to one or the other of these."""
    for path in (source, source / "d", source / "f"):
        path.chmod(0o750)
        if os.geteuid() == 0:
            os.chown(path, 1234, 1234)
    os.symlink("f", source / "link")
    EngineRun.of(session, source).run()
    for name in {call, f"f{call}", f"l{call}"}:
        if hasattr(os, name):
            monkeypatch.setattr(os, name, refuse)
    restored = restore(session, tmp_path / "target", snapshot=f"latest:{source}")
    monkeypatch.undo()
    assert (tmp_path / "target/f").read_bytes() == b"content"
    assert os.readlink(tmp_path / "target/link") == "f"
    assert not restored.failures
    assert restored.finished.partial is (
        call not in {"chown", "listxattr"} or (call == "chown" and AS_ROOT_NOW)
    )


def test_a_full_disk_is_not_taken_for_a_refusal(
    session: RepositorySession, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    from holdfast.errors import StorageFullError  # noqa: PLC0415 -- one test's

    EngineRun.of(session, source).run()
    monkeypatch.setattr(os, "utime", full)
    with pytest.raises(StorageFullError):
        restore(session, tmp_path / "target", snapshot=f"latest:{source}")


@AS_ROOT
def test_attributes_that_a_file_system_does_not_keep(
    session: RepositorySession, source: Path, tmp_path: Path
) -> None:
    """And it tells no free space, which does not mean that there is none."""
    os.setxattr(source / "f", "user.k", b"v")
    EngineRun.of(session, source).run()
    (tmp_path / "ramfs").mkdir()
    subprocess.run(["mount", "-t", "ramfs", "none", tmp_path / "ramfs"], check=True)
    try:
        assert space.free_bytes(bytes(tmp_path / "ramfs/out")) > 1 << 60
        restored = restore(session, tmp_path / "ramfs/out", snapshot=f"latest:{source}")
        assert (tmp_path / "ramfs/out/f").read_bytes() == b"content"
    finally:
        subprocess.run(["umount", "--lazy", tmp_path / "ramfs"], check=True)
    assert losses(restored) == {(b"/f", "attribute 'user.k'")}
    assert_no_damage(restored)


@AS_ROOT
@pytest.mark.parametrize("time_ns", [YEAR_2100_NS, YEAR_2400_NS])
def test_times_that_a_file_system_does_not_know(
    session: RepositorySession, source: Path, tmp_path: Path, time_ns: int
) -> None:
    """An ext4 with small inodes ends in 2038, and takes every time without a word."""
    for path in (source / "f", source / "d"):
        os.utime(path, ns=(time_ns, time_ns))
    if (source / "f").stat().st_mtime_ns != time_ns:
        pytest.skip("the file system of the tests does not know this time either")
    EngineRun.of(session, source).run()
    image, disk = tmp_path / "image", tmp_path / "disk"
    subprocess.run(["truncate", "--size", "48M", image], check=True)
    subprocess.run(["/usr/sbin/mkfs.ext4", "-q", "-I", "128", image], check=True, capture_output=True)
    disk.mkdir()
    subprocess.run(["mount", "-o", "loop", image, disk], check=True)
    try:
        restored = restore(session, disk / "out", snapshot=f"latest:{source}")
        assert (disk / "out/f").read_bytes() == b"content"
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)
    assert losses(restored) == {(b"/f", "times"), (b"/d", "times")}
    assert_no_damage(restored)


def test_a_file_system_without_hard_links_gets_copies(
    session: RepositorySession, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.link(source / "f", source / "d/second")
    (source / "f").chmod(0o640)
    EngineRun.of(session, source).run()
    with monkeypatch.context() as patched:
        patched.setattr(os, "link", refuse)
        restored = restore(session, tmp_path / "target", snapshot=f"latest:{source}")
    second = tmp_path / "target/f"
    assert second.read_bytes() == b"content"
    assert second.stat().st_nlink == 1
    assert stat.S_IMODE(second.stat().st_mode) == 0o640
    assert losses(restored) == {(b"/f", "hard link")}
    assert_no_damage(restored)


def test_hard_links_between_links_devices_and_fifos(
    session: RepositorySession, source: Path, tmp_path: Path
) -> None:
    os.symlink("f", source / "link")
    os.mkfifo(source / "fifo")
    names = ["link", "fifo"]
    if os.geteuid() == 0:
        os.mknod(source / "device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
        names.append("device")
    for name in names:
        os.link(source / name, source / "d" / name, follow_symlinks=False)
    EngineRun.of(session, source).run()
    restored = restore(session, tmp_path / "target", snapshot=f"latest:{source}")
    assert_no_damage(restored)
    for name in names:
        one, other = tmp_path / "target" / name, tmp_path / "target/d" / name
        assert stat.S_IFMT(one.lstat().st_mode) == stat.S_IFMT((source / name).lstat().st_mode)
        assert one.lstat().st_ino == other.lstat().st_ino
    again = restore(session, tmp_path / "target", snapshot=f"latest:{source}")
    assert [record for record in again.records if record.action.value != "unchanged"] == []


@pytest.mark.parametrize("kind", ["symbolic link", "fifo"])
def test_entries_that_a_target_does_not_have_are_of_one_kind(
    session: RepositorySession, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """So that a command tells them once, however many there are."""
    make: Callable[[str | Path], None] = os.mkfifo if kind == "fifo" else lambda path: os.symlink("f", path)
    for name in ("one", "two"):
        make(source / name)
    EngineRun.of(session, source).run()
    monkeypatch.setattr(os, "mkfifo" if kind == "fifo" else "symlink", refuse)
    restored = restore(session, tmp_path / "target", snapshot=f"latest:{source}")
    assert {path: kind_of_loss(message) for path, message in restored.failures.items()} == {
        b"/one": kind,
        b"/two": kind,
    }
    assert (tmp_path / "target/f").read_bytes() == b"content"
    assert restored.finished.partial
