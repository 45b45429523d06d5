"""What happens to what is there: the four rules, --delete, a dry run, and that equal files are not touched."""

import os
import shutil
from pathlib import Path

import pytest

from holdfast.errors import SnapshotNotFoundError
from holdfast.terms import Overwrite
from tests.restore.conftest import FILES, Place, listing
from tests.support.engine import EngineRun

LATER_NS = 4_000_000_000 * 10**9
EARLIER_NS = 1_000_000_000 * 10**9


def state(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Inode, change time and blocks of everything: any write would show."""
    return {
        str(path.relative_to(folder)): (status.st_ino, status.st_ctime_ns, status.st_blocks)
        for path in folder.rglob("*")
        for status in (path.lstat(),)
    }


@pytest.mark.parametrize("rule", list(Overwrite))
def test_a_second_restore_touches_nothing(place: Place, rule: Overwrite) -> None:
    place.restore()
    before = state(place.target)
    restored = place.restore(overwrite=rule)
    assert state(place.target) == before
    assert restored.counts.files_written == restored.counts.bytes_written == 0
    assert not restored.finished.partial


def test_only_what_differs_is_written(place: Place) -> None:
    place.restore()
    changed = place.target / "docs/deep/picture"
    with changed.open("r+b") as file:
        file.seek(700_000)
        file.write(b"changed")
    before = state(place.target)
    restored = place.restore()
    after = state(place.target)
    touched = {path for path in before if before[path] != after[path]}
    assert touched == {"docs/deep/picture", "docs/deep"}
    assert place.differences() == []
    assert 0 < restored.counts.bytes_written < len(FILES["docs/deep/picture"])


def test_metadata_alone_is_corrected_in_place(place: Place) -> None:
    place.restore()
    file = place.target / "bin/tool"
    inode = file.stat().st_ino
    file.chmod(0o600)
    os.utime(file, ns=(EARLIER_NS, EARLIER_NS))
    restored = place.restore()
    assert place.differences() == []
    assert file.stat().st_ino == inode
    assert restored.counts.files_written == 0


@pytest.mark.parametrize(
    ("rule", "mtime_ns", "kept"),
    [
        (Overwrite.ALWAYS, LATER_NS, False),
        (Overwrite.ALWAYS, EARLIER_NS, False),
        (Overwrite.IF_CHANGED, LATER_NS, False),
        (Overwrite.IF_NEWER, LATER_NS, True),
        (Overwrite.IF_NEWER, EARLIER_NS, False),
        (Overwrite.NEVER, EARLIER_NS, True),
    ],
)
def test_the_rules(place: Place, rule: Overwrite, mtime_ns: int, kept: bool) -> None:  # noqa: FBT001 -- a parameter
    file = place.target / "readme"
    file.parent.mkdir()
    file.write_bytes(b"another")
    os.utime(file, ns=(mtime_ns, mtime_ns))
    restored = place.restore(overwrite=rule)
    assert file.read_bytes() == (b"another" if kept else FILES["readme"])
    assert restored.verified is not None
    assert restored.verified.problems == ()
    assert restored.counts.files_skipped >= kept


def test_if_changed_trusts_size_and_time_and_always_does_not(place: Place) -> None:
    place.restore()
    file = place.target / "bin/tool"
    status = file.stat()
    file.write_bytes(b"#!fool")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    place.restore(overwrite=Overwrite.IF_CHANGED)
    assert file.read_bytes() == b"#!fool"
    place.restore(overwrite=Overwrite.ALWAYS)
    assert file.read_bytes() == b"#!tool"


def test_delete_removes_what_the_snapshot_lacks(place: Place) -> None:
    place.restore()
    (place.target / "extra").write_bytes(b"extra")
    (place.target / "docs/extra/deep").mkdir(parents=True)
    (place.target / "docs/extra/deep/file").write_bytes(b"extra")
    place.restore()
    assert (place.target / "docs/extra/deep/file").exists()
    restored = place.restore(delete=True)
    assert place.differences() == []
    assert restored.counts.files_deleted == 2


def test_delete_leaves_nothing_where_the_snapshot_has_nothing(place: Place) -> None:
    place.restore()
    shutil.rmtree(place.source)
    place.source.mkdir()
    EngineRun.of(place.session, place.source, run_id="empty", allow_empty=True).run()
    assert listing(place.target) != set()
    with pytest.raises(SnapshotNotFoundError):
        place.restore(delete=True, includes=(b"/docs",))
    assert (place.target / "docs/guide").exists()
    place.restore(delete=True)
    assert listing(place.target) == set()


def test_delete_stays_inside_what_was_selected(place: Place) -> None:
    place.restore()
    for extra in ("extra", "docs/deep/extra"):
        (place.target / extra).write_bytes(b"extra")
    place.restore(delete=True, exact_paths=(b"/docs/deep",))
    assert (place.target / "extra").exists()
    assert (place.target / "readme").exists()
    assert not (place.target / "docs/deep/extra").exists()


def test_kinds_that_differ_make_room(place: Place) -> None:
    place.target.mkdir()
    (place.target / "docs").write_bytes(b"a file where a directory belongs")
    (place.target / "readme").mkdir()
    (place.target / "link").mkdir()
    os.mkfifo(place.target / "bin")
    restored = place.restore(replace_kinds=True)
    assert not restored.failures
    assert place.differences() == []


def test_a_full_directory_in_the_way_is_only_removed_when_asked(place: Place) -> None:
    (place.target / "readme").mkdir(parents=True)
    (place.target / "readme/precious").write_bytes(b"precious")
    restored = place.restore()
    assert b"/readme" in restored.failures
    assert (place.target / "readme/precious").read_bytes() == b"precious"
    place.restore(delete=True)
    assert place.differences() == []


def test_a_dry_run_changes_nothing_and_says_what_would_be(place: Place) -> None:
    (place.target / "docs").mkdir(parents=True)
    (place.target / "docs/guide").write_bytes(b"another")
    (place.target / "extra").write_bytes(b"extra")
    before = state(place.target)
    restored = place.restore(dry_run=True, delete=True)
    assert state(place.target) == before
    actions = {record.path: record.action.value for record in restored.records}
    assert actions[b"/docs/guide"] == "updated"
    assert actions[b"/readme"] == "restored"
    assert actions[b"/extra"] == "deleted"


def test_a_dry_run_into_nothing_creates_nothing(place: Place) -> None:
    restored = place.restore(dry_run=True)
    assert not place.target.exists()
    assert restored.counts.files == 6


def test_a_foreign_hard_link_is_not_written_through(place: Place) -> None:
    """The other name may belong to somebody else: the file is written anew, the other name keeps what it has."""
    place.target.mkdir()
    other = place.target.parent / "somebody"
    other.write_bytes(b"theirs")
    os.link(other, place.target / "readme")
    place.restore()
    assert other.read_bytes() == b"theirs"
    assert (place.target / "readme").read_bytes() == FILES["readme"]


def test_nothing_temporary_is_left(place: Place) -> None:
    place.restore()
    assert not [name for name in listing(place.target) if ".holdfast-" in name]
