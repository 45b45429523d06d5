"""--delete removes what the snapshot covers and does not have, and nothing else; its dry run offers the same."""

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from holdfast.format.index import BlobType
from holdfast.format.pack import Compression
from holdfast.format.sealed import encode_file
from holdfast.format.snapshot import encode_snapshot
from holdfast.format.times import format_time
from holdfast.format.tree import encode_tree
from holdfast.ids import BlobId, from_hex, sha256, to_hex
from holdfast.repository.packs.packer import Packer
from holdfast.repository.session import RepositorySession
from holdfast.repository.snapshots import find_snapshot, save_sealed
from holdfast.source.spec import FilterRules
from tests.restore.conftest import listing
from tests.restore.users import NOBODY, folder_of_nobody, ordinary_user
from tests.support.comparison import restic
from tests.support.disks import bound, tmpfs
from tests.support.engine import PASSWORD, EngineRun, new_session, open_session
from tests.support.restore import Restored, restore_in_place

pytestmark = pytest.mark.filterwarnings("error")


@dataclass(slots=True)
class Area:
    """A folder with a source beside other things, and its repository."""

    folder: Path
    session: RepositorySession
    runs: int = field(default=0)

    @property
    def source(self) -> Path:
        return self.folder / "docs"

    def write(self, *names: str) -> None:
        for name in names:
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(name.encode())

    def back_up(self, **more: Any) -> None:
        self.runs += 1
        EngineRun.of(self.session, self.source, run_id=f"run-{self.runs}", **more).run()

    def restore(self, snapshot: str = "latest", **more: object) -> Restored:
        """In place, with a dry run before: what that offers must be what is done."""
        before = listing(self.folder)
        offered = deleted(restore_in_place(self.session, snapshot, delete=True, dry_run=True, **more))
        assert listing(self.folder) == before
        done = restore_in_place(self.session, snapshot, delete=True, **more)
        assert deleted(done) == offered
        return done


@pytest.fixture
def area(tmp_path: Path) -> Iterator[Area]:
    (tmp_path / "area/docs").mkdir(parents=True)
    with new_session(tmp_path / "repository") as session:
        yield Area(tmp_path / "area", session)


def rewrite(session: RepositorySession) -> None:
    """As `restic rewrite --exclude` leaves a snapshot: other trees below the same tags."""
    repository = session.repository
    with session.hold() as held:
        old = find_snapshot(repository, "latest").snapshot
        top = held.loader.load_tree(BlobId(from_hex(old.tree)))
        with Packer(repository, BlobType.TREE, compression=Compression.AUTO) as packer:
            tree = encode_tree([msgspec.structs.replace(top[0], mtime=old.time)])
            packer.add(BlobId(sha256(tree)), tree)
            packer.flush()
            held.write_index(packer.take_stored())
    later = msgspec.structs.replace(old, time=format_time(old.time_ns + 1), tree=to_hex(sha256(tree)))
    save_sealed(
        repository, encode_file(repository.sealer(), encode_snapshot(later), version=repository.version)
    )


def deleted(restored: Restored) -> set[bytes]:
    return {record.path for record in restored.records if record.action.value == "deleted"}


def names(restored: Restored) -> set[str]:
    return {os.fsdecode(path.rpartition(b"/")[2]) for path in deleted(restored)}


@pytest.mark.parametrize("subfolder", [True, False])
def test_what_lies_beside_a_source_is_not_covered(area: Area, subfolder: bool) -> None:  # noqa: FBT001 -- a parameter
    area.write("docs/a", "other/precious", "precious")
    area.back_up()
    area.write("docs/new")
    # The whole snapshot in place needs a selection; "/" with all that is on it is no test's business.
    where = {"snapshot": f"latest:{area.folder}"} if subfolder else {"includes": (bytes(area.folder),)}
    restored = area.restore(**where)
    assert names(restored) == {"new"}
    assert listing(area.folder) == {"docs", "docs/a", "other", "other/precious", "precious"}
    assert not restored.finished.partial


def test_every_entry_that_goes_is_named(area: Area) -> None:
    area.write("docs/a")
    area.back_up()
    area.write("docs/new/deep/file", "docs/new/file")
    restored = area.restore(f"latest:{area.source}")
    assert deleted(restored) == {b"/new", b"/new/deep", b"/new/deep/file", b"/new/file"}
    assert restored.counts.files_deleted == 2


@pytest.mark.parametrize(
    ("rules", "kept", "gone"),
    [
        (FilterRules(excludes=("*.tmp",)), "docs/d/x.tmp", "docs/d/x"),
        (FilterRules(iexcludes=("*.TMP",)), "docs/d/x.tmp", "docs/d/x"),
        (FilterRules(excludes=("cache",)), "docs/d/cache/x", "docs/d/x"),
        (FilterRules(exclude_larger_than_bytes=30), "docs/d/" + "x" * 40, "docs/d/x"),
        (FilterRules(exclude_if_present=(".nobackup",)), "docs/m/x", "docs/d/x"),
    ],
    ids=["pattern", "pattern without case", "directory", "size", "marker"],
)
@pytest.mark.parametrize("later", [True, False], ids=["came later", "was there"])
def test_what_a_filter_leaves_out_is_not_covered(
    area: Area,
    rules: FilterRules,
    kept: str,
    gone: str,
    later: bool,  # noqa: FBT001 -- a parameter
) -> None:
    area.write("docs/d/a", "docs/m/.nobackup")
    if not later:
        area.write(kept)
    area.back_up(filters=rules)
    area.write(kept, gone)
    restored = area.restore(f"latest:{area.source}")
    assert (area.folder / kept).exists()
    # A directory in which something was too large was not read whole: there is nothing to be sure of.
    was_read_whole = later or rules.exclude_larger_than_bytes is None
    assert (area.folder / gone).exists() is not was_read_whole
    assert not restored.finished.partial


def test_a_new_directory_with_something_left_out_stays_for_that(area: Area) -> None:
    area.write("docs/a")
    area.back_up(filters=FilterRules(excludes=("*.tmp",)))
    area.write("docs/new/x.tmp", "docs/new/deep/y")
    restored = area.restore(f"latest:{area.source}")
    assert deleted(restored) == {b"/new/deep", b"/new/deep/y"}
    assert (area.folder / "docs/new/x.tmp").exists()


def test_sockets_stay_with_the_directories_that_hold_them(area: Area) -> None:
    area.write("docs/a")
    with socket.socket(socket.AF_UNIX) as early, socket.socket(socket.AF_UNIX) as late:
        early.bind(str(area.source / "early"))
        area.back_up()
        (area.source / "new").mkdir()
        late.bind(str(area.source / "new/late"))
        area.write("docs/new/file")
        restored = area.restore(f"latest:{area.source}")
    assert deleted(restored) == {b"/new/file"}
    assert listing(area.source) == {"a", "early", "new", "new/late"}


def test_a_repository_in_the_source_is_not_covered(tmp_path: Path) -> None:
    """Not even where the restore comes from a copy, which does not protect it."""
    (tmp_path / "area/docs").mkdir(parents=True)
    with new_session(tmp_path / "area/docs/repository") as session:
        area = Area(tmp_path / "area", session)
        area.write("docs/a")
        area.back_up()
    os.rename(tmp_path / "area/docs/repository", tmp_path / "copy")
    area.write("docs/repository/config")
    with open_session(tmp_path / "copy") as session:
        restored = Area(tmp_path / "area", session).restore(f"latest:{area.source}")
    assert names(restored) == set()
    assert (tmp_path / "area/docs/repository/config").exists()


@pytest.mark.parametrize("incremental", [False, True])
def test_a_directory_that_could_not_be_read_is_not_covered(incremental: bool) -> None:  # noqa: FBT001 -- a parameter
    """Below it, and beside it: its own directory was not read whole either."""
    with folder_of_nobody() as folder, ordinary_user(), new_session(folder / "repository") as session:
        area = Area(folder / "area", session)
        area.write("docs/g", "docs/top/closed/f", "docs/open/a")
        if incremental:
            area.back_up()
        (area.source / "top/closed").chmod(0o311)
        area.back_up()
        (area.source / "top/closed").chmod(0o700)
        area.write("docs/top/closed/new", "docs/open/new")
        restored = area.restore(f"latest:{area.source}")
        (area.source / "top/closed").chmod(0o700)
        assert deleted(restored) == {b"/open/new"}
        assert listing(area.source) >= {"top/closed/f", "top/closed/new", "open/a"}


def test_a_file_that_could_not_be_read_is_not_covered() -> None:
    with folder_of_nobody() as folder, ordinary_user(), new_session(folder / "repository") as session:
        area = Area(folder / "area", session)
        area.write("docs/d/f", "docs/d/precious", "docs/e/f")
        if os.geteuid() == NOBODY:
            (area.source / "d/precious").chmod(0)
        area.back_up()
        (area.source / "d/precious").chmod(0o600)
        area.write("docs/e/new")
        area.restore(f"latest:{area.source}")
        assert listing(area.source) == {"d", "d/f", "d/precious", "e", "e/f"}


def test_a_mark_outlives_an_unchanged_backup(area: Area) -> None:
    """An incremental backup takes over unchanged trees; their marks, and only true ones, come with them."""
    area.write("docs/d/small", "docs/d/" + "x" * 40, "docs/e/a")
    rules = FilterRules(exclude_larger_than_bytes=30)
    area.back_up(filters=rules)
    area.back_up(filters=rules)
    area.write("docs/d/new", "docs/e/new")
    area.restore(f"latest:{area.source}")
    assert (area.source / "d/new").exists()
    assert not (area.source / "e/new").exists()
    (area.source / "d" / ("x" * 40)).unlink()
    (area.source / "d/new").unlink()
    area.back_up(filters=rules)
    area.write("docs/d/new")
    area.restore(f"latest:{area.source}")
    assert not (area.source / "d/new").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
@pytest.mark.parametrize("one_file_system", [True, False])
def test_what_was_mounted_then_is_not_covered(area: Area, one_file_system: bool) -> None:  # noqa: FBT001 -- a parameter
    area.write("docs/a")
    with tmpfs(area.source / "mnt", "size=1m"):
        area.write("docs/mnt/stored", "docs/mnt/deep/stored")
        area.back_up(one_file_system=one_file_system)
    area.write("docs/mnt/precious", "docs/mnt/deep/precious", "docs/new")
    restored = area.restore(f"latest:{area.source}")
    assert names(restored) == {"new"}
    assert listing(area.source) >= {"mnt/precious", "mnt/deep/precious"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
@pytest.mark.parametrize("by_link", [True, False], ids=["source by a link", "source"])
def test_what_a_bind_mount_hid_is_not_covered(area: Area, *, by_link: bool) -> None:
    area.write("docs/a", "docs/a b/mnt/hidden", "other/stored", "other/deep/stored")
    (area.folder / "link").symlink_to(area.folder)
    source = area.folder / ("link/docs" if by_link else "docs")
    with bound(area.folder / "other", area.source / "a b/mnt"):
        EngineRun.of(area.session, source, run_id="run").run()
    area.write("docs/a b/mnt/deep/precious", "docs/a b/new")
    restored = area.restore(f"latest:{source}")
    assert names(restored) == {"new"}
    assert listing(area.source) >= {"a b/mnt/hidden", "a b/mnt/deep/precious"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_what_is_mounted_now_is_not_touched(area: Area) -> None:
    area.write("docs/a", "docs/mnt/stored", "docs/new/file")
    (area.source / "new").rename(area.folder / "new")
    area.back_up()
    (area.folder / "new").rename(area.source / "new")
    (area.source / "mnt").rename(area.folder / "moved")
    with tmpfs(area.source / "mnt", "size=1m"), tmpfs(area.source / "new/inner", "size=1m"):
        area.write("docs/mnt/precious", "docs/new/inner/precious")
        restored = area.restore(f"latest:{area.source}")
        assert deleted(restored) == {b"/new/file"}
        assert listing(area.source) >= {"mnt/precious", "new/inner/precious"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_a_mount_that_is_itself_restored_is_covered(area: Area) -> None:
    with tmpfs(area.source / "mnt", "size=1m"):
        area.write("docs/mnt/stored")
        area.back_up()
        area.write("docs/mnt/new")
        restored = area.restore(f"latest:{area.source}", exact_paths=(b"/mnt",))
        assert deleted(restored) == {b"/mnt/new"}


@pytest.mark.parametrize(
    "asked",
    [
        {"exact_paths": (b"/kept", b"/new")},
        {"includes": (b"/kept", b"/new")},
        {"includes": (b"new",), "exact_paths": (b"/kept",)},
        {"iincludes": (b"/NEW", b"KEPT")},
    ],
    ids=["paths", "include", "name", "iinclude"],
)
def test_what_the_request_names_and_the_snapshot_lacks_stays(area: Area, asked: dict[str, object]) -> None:
    area.write("docs/kept")
    area.back_up()
    area.write("docs/new", "docs/other")
    restored = area.restore(f"latest:{area.source}", **asked)
    assert deleted(restored) == set()
    assert listing(area.source) == {"kept", "new", "other"}


def test_a_pattern_selects_what_is_deleted(area: Area) -> None:
    area.write("docs/d/a.txt")
    area.back_up()
    area.write("docs/d/b.txt", "docs/d/b.jpg", "b.txt")
    restored = area.restore(f"latest:{area.folder}", includes=(b"*.txt",))
    assert names(restored) == {"b.txt"}
    assert listing(area.folder) == {"docs", "docs/d", "docs/d/a.txt", "docs/d/b.jpg", "b.txt"}


@pytest.mark.parametrize("change", ["tag", "rewrite", "of restic"])
def test_trees_for_which_nobody_vouches_cover_nothing(area: Area, change: str) -> None:
    area.write("docs/d/a", "docs/b")
    area.back_up()
    repository = area.folder.parent / "repository"
    if change == "tag":
        restic(repository, PASSWORD, "tag", "--add", "mine", "latest")
    elif change == "rewrite":
        rewrite(area.session)
    else:
        restic(repository, PASSWORD, "backup", str(area.source))
    area.write("docs/new")
    restored = area.restore(f"latest:{area.source}")
    if change == "tag":
        assert names(restored) == {"new"}
        return
    assert deleted(restored) == set()
    assert listing(area.source) == {"d", "d/a", "b", "new"}
    warnings = [record.message for record in restored.records if record.action.value == "warning"]
    assert any("nothing is deleted" in warning for warning in warnings)


def test_restic_reads_marked_trees(area: Area) -> None:
    area.write("docs/d/small", "docs/d/" + "x" * 40)
    area.back_up(filters=FilterRules(exclude_larger_than_bytes=30))
    repository = area.folder.parent / "repository"
    assert "no errors were found" in restic(repository, PASSWORD, "check", "--read-data")
    target = area.folder.parent / "by-restic"
    restic(repository, PASSWORD, "restore", "latest", "--target", str(target))
    assert (target / str(area.source)[1:] / "d/small").exists()


def test_a_removal_that_fails_makes_the_run_partial() -> None:
    with folder_of_nobody() as folder, ordinary_user(), new_session(folder / "repository") as session:
        area = Area(folder / "area", session)
        area.write("docs/a")
        area.back_up()
        area.write("docs/new/stuck/file", "docs/new/file")
        (area.source / "new/stuck").chmod(0o500)
        restored = restore_in_place(session, f"latest:{area.source}", delete=True)
        (area.source / "new/stuck").chmod(0o700)
        assert restored.finished.partial
        assert set(restored.failures) == {b"/new/stuck/file"}
        assert deleted(restored) == {b"/new/file"}
