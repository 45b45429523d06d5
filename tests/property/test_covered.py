"""A model of --delete: whatever was left out, unreadable or mounted, only what a backup has seen to be gone is removed.

Devices are simulated as the walk sees them: each directory called `mnt` has a device of its own.
"""

import os
import shutil
import socket
import stat
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from holdfast.source import walk
from holdfast.source.spec import FilterRules
from tests.support.engine import EngineRun, new_session
from tests.support.restore import restore_in_place

NAMES: Final = st.sampled_from(
    [
        "a",
        "b.tmp",
        "d/a",
        "d/large",
        "d/e/a",
        "d/e/B.TMP",
        "mnt/a",
        "mnt/e/a",
        "d/mnt/b",
        "m/a",
        "new/a",
        "new/b.tmp",
    ]
)
FOLDERS: Final = st.sampled_from(["d", "d/e", "mnt", "mnt/e", "d/mnt", "m", "new"])
RULES: Final = st.builds(
    FilterRules,
    excludes=st.sampled_from([(), ("*.tmp",), ("e",)]),
    iexcludes=st.sampled_from([(), ("*.tmp",)]),
    exclude_if_present=st.sampled_from([(), (".nobackup",)]),
    exclude_larger_than_bytes=st.sampled_from([None, 10]),
)
DEVICE: Final = 77


class Deletions(RuleBasedStateMachine):
    """Changes of a tree, backups with any rules, and restores with --delete in place."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="model-"))
        self.source = self.folder / "source"
        self.source.mkdir()
        self.resources = ExitStack()
        self.session = self.resources.enter_context(new_session(self.folder / "repository"))
        self.closed: set[str] = set()
        self.closed_then: set[str] = set()
        self.runs = 0

    def teardown(self) -> None:
        self.resources.close()
        shutil.rmtree(self.folder)

    @initialize()
    def begin(self) -> None:
        self.write("d/e/a", size=3)

    @rule(name=NAMES, size=st.sampled_from([3, 20]))
    def write(self, name: str, size: int) -> None:
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)

    @rule(name=NAMES)
    def remove(self, name: str) -> None:
        (self.source / name).unlink(missing_ok=True)

    @rule(folder=FOLDERS)
    def remove_folder(self, folder: str) -> None:
        shutil.rmtree(self.source / folder, ignore_errors=True)

    @rule(folder=FOLDERS)
    def mark(self, folder: str) -> None:
        if (self.source / folder).is_dir():
            (self.source / folder / ".nobackup").touch()

    @rule(folder=FOLDERS)
    def bind(self, folder: str) -> None:
        path = self.source / folder / "socket"
        if path.parent.is_dir() and not path.exists():
            with socket.socket(socket.AF_UNIX) as bound:
                bound.bind(str(path))

    @rule(closed=st.sets(FOLDERS, max_size=1))
    def close(self, closed: set[str]) -> None:
        """These cannot be listed, until others cannot."""
        self.closed = closed

    @rule(rules=RULES, one_file_system=st.booleans())
    def back_up(self, rules: FilterRules, one_file_system: bool) -> None:  # noqa: FBT001 -- a strategy's
        self.left_out = rules
        self.runs += 1
        with mock.patch.object(walk, "os", _System(self.source, self.closed)):
            EngineRun.of(
                self.session,
                self.source,
                run_id=f"run-{self.runs}",
                filters=rules,
                one_file_system=one_file_system,
                allow_empty=True,
            ).run()
        self.before, self.closed_then = _all(self.source), self.closed

    @precondition(lambda self: self.runs)
    @rule()
    def restore(self) -> None:
        now = _all(self.source)
        offered = self._restore(dry_run=True)
        assert _all(self.source) == now
        gone = self._restore(dry_run=False)
        assert gone == offered
        for name in gone:
            assert name not in self.before, f"{name} was there when the backup was made"
            assert not stat.S_ISSOCK(now[name])
            self._assert_not_left_out(name)
            assert not self._was_mounted(name), f"{name} is on another file system"
            assert not any(name.startswith(closed + "/") for closed in self.closed_then & set(self.before))
        # What is covered is removed: in a folder of plain names, nothing of which could be left out or closed.
        if (
            not self.closed_then
            and self.left_out == FilterRules()
            and "new/a" in now
            and "new" not in self.before
        ):
            assert "new/a" not in _all(self.source)

    def _restore(self, *, dry_run: bool) -> set[str]:
        restored = restore_in_place(
            self.session, f"latest:{self.source}", delete=True, dry_run=dry_run, replace_kinds=True
        )
        return {
            os.fsdecode(record.path[1:]) for record in restored.records if record.action.value == "deleted"
        }

    def _was_mounted(self, name: str) -> bool:
        above = [str(path) for path in Path(name).parents]
        return any(path.endswith("mnt") and path in self.before for path in above)

    def _assert_not_left_out(self, name: str) -> None:
        parts = name.split("/")
        if "*.tmp" in self.left_out.excludes:
            assert not name.endswith(".tmp")
        if "e" in self.left_out.excludes:
            assert "e" not in parts
        if self.left_out.iexcludes:
            assert not name.lower().endswith(".tmp")


class _System:
    """`os` as the walk sees it where some folders are closed, and those called mnt are mounted."""

    def __init__(self, source: Path, closed: set[str]) -> None:
        self._source = source
        self._closed = {str(source / folder) for folder in closed}

    def __getattr__(self, name: str) -> object:
        return getattr(os, name)

    def listdir(self, path: bytes) -> list[bytes]:
        if os.readlink(path).decode() in self._closed:
            raise PermissionError(13, "Permission denied")
        return os.listdir(path)

    def stat(self, name: bytes, **where: object) -> os.stat_result:
        status = os.stat(name, **where)  # type: ignore[arg-type]  # handed on
        parent = os.readlink(f"/proc/self/fd/{where['dir_fd']}") if "dir_fd" in where else ""
        return self._placed(status, Path(parent, os.fsdecode(name)))

    def fstat(self, fd: int) -> os.stat_result:
        return self._placed(os.fstat(fd), Path(os.readlink(f"/proc/self/fd/{fd}")))

    def _placed(self, status: os.stat_result, path: Path) -> os.stat_result:
        if not path.is_relative_to(self._source) or "mnt" not in path.relative_to(self._source).parts:
            return status
        fields = list(status)
        fields[stat.ST_DEV] = DEVICE
        return os.stat_result(fields, dict(_more(status)))


def _more(status: os.stat_result) -> list[tuple[str, object]]:
    names = [name for name in dir(status) if name.startswith("st_")]
    return [(name, getattr(status, name)) for name in names if name != "st_dev"]


def _all(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.lstat().st_mode for path in folder.rglob("*")}


TestDeletions = Deletions.TestCase
TestDeletions.settings = settings(max_examples=5, stateful_step_count=20, deadline=None)
