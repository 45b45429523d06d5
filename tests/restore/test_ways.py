"""Directories that only lead to what was asked for are opened, not restored: they keep what they are."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.repository.session import RepositorySession
from holdfast.restore.plan.ways import SourceWays
from tests.restore.users import NOBODY, folder_of_nobody, give, ordinary_user
from tests.support.engine import EngineRun, new_session, open_session
from tests.support.restore import Restored, restore, restore_in_place

LONG_AGO_NS = 1_000_000_000 * 10**9
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")


@pytest.fixture
def session(tmp_path: Path) -> Iterator[RepositorySession]:
    with new_session(tmp_path / "repository") as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a/b/c").mkdir(parents=True)
    for name in ("a/b/f", "a/b/c/g", "a/other"):
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path / "a"


def look(path: Path) -> tuple[int, int, int, int]:
    status = path.stat()
    return stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, status.st_mtime_ns


def change(path: Path, mode: int) -> tuple[int, int, int, int]:
    """Another mode, time and (as root) owner than the snapshot has; what it looks like then."""
    path.chmod(mode)
    if os.geteuid() == 0:
        os.chown(path, 1234, 4321)
    os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))
    return look(path)


def assert_restored(restored: Restored) -> None:
    assert not restored.failures
    assert not restored.finished.partial
    assert restored.verified is not None
    assert restored.verified.problems == ()


@pytest.mark.parametrize(
    "asked", [{"includes": (b"f",)}, {"exact_paths": (b"/b/f",)}, {"includes": (b"/b/f",)}], ids=str
)
def test_a_way_keeps_mode_owner_and_times(
    session: RepositorySession, folder: Path, asked: dict[str, tuple[bytes, ...]]
) -> None:
    EngineRun.of(session, folder).run()
    (folder / "b/f").unlink()
    before = {path: change(path, 0o750) for path in (folder / "b", folder)}
    restored = restore_in_place(session, f"latest:{folder}", **asked)
    assert (folder / "b/f").read_bytes() == b"a/b/f"
    assert {path: look(path) for path in before} == before
    assert_restored(restored)


def test_the_ways_to_a_source_keep_what_they_are(session: RepositorySession, folder: Path) -> None:
    """The whole snapshot, in place; the system's own folders above are no concern of it either."""
    EngineRun.of(session, folder / "b").run()
    shutil.rmtree(folder / "b")
    before = change(folder, 0o750)
    above = look(folder.parent.parent)
    restored = restore_in_place(session, "latest")
    assert (folder / "b/c/g").exists()
    assert look(folder) == before
    assert look(folder.parent.parent) == above
    assert_restored(restored)


def test_a_way_that_had_to_be_made_gets_the_snapshots_attributes(
    session: RepositorySession, folder: Path, tmp_path: Path
) -> None:
    change(folder, 0o751)
    wanted = look(folder)
    EngineRun.of(session, folder / "b").run()
    assert_restored(restore(session, tmp_path / "new"))
    assert look(tmp_path / "new" / str(folder)[1:]) == wanted
    shutil.rmtree(folder)
    assert_restored(restore_in_place(session, "latest", includes=(b"f",)))
    assert look(folder) == wanted


def test_the_target_keeps_its_mode() -> None:
    """Also one that its owner has closed to itself: it was opened to write into it, and is closed again."""
    with folder_of_nobody() as place, ordinary_user(), new_session(place / "repository") as session:
        (place / "source").mkdir()
        (place / "source/f").write_bytes(b"v")
        EngineRun.of(session, place / "source").run()
        (place / "target").mkdir()
        (place / "target").chmod(0o555)
        restored = restore(session, place / "target", snapshot=f"latest:{place / 'source'}")
        assert (place / "target/f").read_bytes() == b"v"
        assert look(place / "target")[0] == 0o555
        assert_restored(restored)


@pytest.mark.parametrize("whole", [True, False])
def test_a_link_on_the_way_stays_and_the_file_lands_behind_it(
    session: RepositorySession,
    folder: Path,
    tmp_path: Path,
    whole: bool,  # noqa: FBT001 -- a parameter
) -> None:
    (tmp_path / "link").symlink_to("a")
    EngineRun.of(session, tmp_path / "link/b").run()
    (folder / "b/f").write_bytes(b"later")
    (folder / "b/c/g").unlink()
    asked = {} if whole else {"includes": (bytes(tmp_path / "link/b/c"), bytes(tmp_path / "link/b/f"))}
    restored = restore_in_place(session, "latest", **asked)
    assert os.readlink(tmp_path / "link") == "a"
    assert (folder / "b/f").read_bytes() == b"a/b/f"
    assert (folder / "b/c/g").read_bytes() == b"a/b/c/g"
    assert_restored(restored)


def test_a_directory_that_became_a_link_since_is_gone_through(
    session: RepositorySession, folder: Path, tmp_path: Path
) -> None:
    EngineRun.of(session, folder).run()
    (folder / "b").rename(tmp_path / "moved")
    (folder / "b").symlink_to(tmp_path / "moved")
    (tmp_path / "moved/f").unlink()
    restored = restore_in_place(session, f"latest:{folder}", includes=(b"/b/f",))
    assert (folder / "b").is_symlink()
    assert (tmp_path / "moved/f").read_bytes() == b"a/b/f"
    assert_restored(restored)


def test_a_directory_that_is_restored_itself_is_not_gone_through(
    session: RepositorySession, folder: Path, tmp_path: Path
) -> None:
    """It is content, and the link is of another kind: it goes only when that is asked for."""
    EngineRun.of(session, folder).run()
    (folder / "b").rename(tmp_path / "moved")
    (folder / "b").symlink_to(tmp_path / "moved")
    (tmp_path / "moved/f").write_bytes(b"later")
    assert set(restore_in_place(session, f"latest:{folder}").failures) == {b"/b"}
    assert (folder / "b").is_symlink()
    restored = restore_in_place(session, f"latest:{folder}", replace_kinds=True)
    assert_restored(restored)
    assert not (folder / "b").is_symlink()
    assert (tmp_path / "moved/f").read_bytes() == b"later"
    assert [record.path for record in restored.records if record.action.value == "deleted"] == [b"/b"]


@AS_ROOT
def test_a_link_of_another_user_on_the_way_is_refused(
    session: RepositorySession, folder: Path, tmp_path: Path
) -> None:
    EngineRun.of(session, folder).run()
    canary = tmp_path / "canary"
    canary.mkdir()
    shutil.rmtree(folder / "b")
    (folder / "b").symlink_to(canary)
    os.chown(folder / "b", NOBODY, NOBODY, follow_symlinks=False)
    restored = restore_in_place(session, f"latest:{folder}", includes=(b"/b/f",))
    assert restored.finished.partial
    assert "another user" in restored.failures[b"/b"]
    assert list(canary.iterdir()) == []


def test_no_link_is_followed_below_a_target_that_was_named(
    session: RepositorySession, folder: Path, tmp_path: Path
) -> None:
    EngineRun.of(session, folder).run()
    canary = tmp_path / "canary"
    canary.mkdir()
    (tmp_path / "target").mkdir()
    (tmp_path / "target/b").symlink_to(canary)
    restored = restore(session, tmp_path / "target", snapshot=f"latest:{folder}", includes=(b"/b/f",))
    assert restored.finished.partial
    assert list(canary.iterdir()) == []


def test_a_way_that_may_be_searched_but_not_read(tmp_path: Path) -> None:
    """Backed up below, and restored below, by a user who may not list what lies above."""
    with folder_of_nobody() as place:
        home = place / "homes/alice"
        home.mkdir(parents=True)
        (home / "f").write_bytes(b"v")
        (home / "d").mkdir()
        for path in (home, home / "f", home / "d"):
            os.chown(path, NOBODY, NOBODY)
        if os.geteuid() == 0:
            os.chown(place / "homes", 0, 0)
        (place / "homes").chmod(0o711)
        with ordinary_user(), new_session(place / "repository") as session:
            assert EngineRun.of(session, home, home / "f", run_id="a").run().totals.errors == 0
            assert EngineRun.of(session, home / "f", run_id="b").run().totals.errors == 0
            (home / "f").unlink()
            assert_restored(restore_in_place(session, "latest"))
            assert (home / "f").read_bytes() == b"v"
            EngineRun.of(session, home, run_id="c").run()
            (home / "f").unlink()
            assert_restored(restore_in_place(session, f"latest:{place / 'homes'}", delete=True))
            assert (home / "f").read_bytes() == b"v"


def test_a_box_that_may_be_written_but_not_read() -> None:
    """Its files are flushed one by one: neither it nor its file system can be flushed through it."""
    with folder_of_nobody() as place:
        (place / "box").mkdir()
        (place / "box/f").write_bytes(b"v")
        give(place / "box/f")
        (place / "box").chmod(0o733)
        with ordinary_user(), new_session(place / "repository") as session:
            EngineRun.of(session, place / "box/f").run()
        if os.geteuid() == 0:
            os.chown(place / "box", 0, 0)
        (place / "box/f").unlink()
        with ordinary_user(), open_session(place / "repository") as session:
            assert_restored(restore_in_place(session, "latest"))
        assert (place / "box/f").read_bytes() == b"v"
        (place / "box").chmod(0o777)


@pytest.mark.parametrize(
    ("paths", "subfolder", "path", "leads"),
    [
        (["/a/b"], b"", b"", True),
        (["/a/b"], b"", b"a", True),
        (["/a/b"], b"", b"a/b", False),
        (["/a/b"], b"/a", b"", True),
        (["/a/b"], b"/a", b"b", False),
        (["/a/b"], b"", b"c", False),
        (["/a/b"], b"", b"a/bc", False),
        (["/a", "/a/b/c"], b"", b"a/b", False),
        (["/a", "/b/c"], b"", b"b", True),
        (["/"], b"", b"", False),
        (["/a/b/"], b"", b"a/b", False),
        (["/\\xff/b"], b"", b"\xff", True),
        (['/\\"/\\xff'], b"", b'"', True),
        ([], b"", b"", False),
    ],
)
def test_which_directories_lead_to_a_source(
    paths: list[str],
    subfolder: bytes,
    path: bytes,
    leads: bool,  # noqa: FBT001 -- a parameter
) -> None:
    assert SourceWays(paths, subfolder).has(path) is leads
