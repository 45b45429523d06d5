"""A model: a small tree that changes, snapshots of every strategy, and every snapshot restores the tree of its time."""

import os
import shutil
import stat
import tempfile
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import TypeAlias

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from holdfast.ids import to_hex
from tests.support.engine import MIB, EngineRun, new_session
from tests.support.restore import restore

Model: TypeAlias = dict[str, tuple[int, bytes, int]]
"""Path to mode, content (or target), and modification time."""

NAMES = st.sampled_from(["a", "b", "c", "d/a", "d/b", "d/e/a", "f/a"])
LARGE = Random(1).randbytes(2 * MIB + 12_345)
"""Two segments."""
CONTENTS = st.sampled_from([b"", b"one", b"two", b"one" * 1000, bytes(3 << 20), LARGE])


class Backups(RuleBasedStateMachine):
    """Changes of the tree, backups and restores in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="model-"))
        self.source = self.folder / "source"
        self.source.mkdir()
        self.resources = ExitStack()
        self.session = self.resources.enter_context(new_session(self.folder / "repository", small=True))
        self.snapshots: list[tuple[str, Model]] = []
        self.runs = 0

    def teardown(self) -> None:
        self.resources.close()
        shutil.rmtree(self.folder)

    @rule(name=NAMES, content=CONTENTS)
    def write(self, name: str, content: bytes) -> None:
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(content)

    @rule(name=NAMES, more=CONTENTS)
    def append(self, name: str, more: bytes) -> None:
        path = self.source / name
        if path.is_file():
            with path.open("ab") as file:
                file.write(more)

    @rule(name=NAMES, mode=st.sampled_from([0o600, 0o644, 0o4755]))
    def change_mode(self, name: str, mode: int) -> None:
        if (self.source / name).is_file():
            (self.source / name).chmod(mode)

    @rule(name=NAMES)
    def link(self, name: str) -> None:
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to("a")

    @rule(name=NAMES)
    def remove(self, name: str) -> None:
        (self.source / name).unlink(missing_ok=True)

    @rule()
    def remove_directory(self) -> None:
        shutil.rmtree(self.source / "d", ignore_errors=True)

    @rule(one=NAMES, other=NAMES)
    def rename(self, one: str, other: str) -> None:
        if os.path.lexists(self.source / one) and (self.source / other).parent.is_dir():
            (self.source / one).rename(self.source / other)

    @rule(strategy=st.sampled_from(["auto", "full", "incremental", "differential"]))
    def back_up(self, strategy: str) -> None:
        run = EngineRun.of(
            self.session,
            self.source,
            run_id=f"run-{self.runs}",
            strategy=strategy if self.snapshots else "full",
            allow_empty=True,
        )
        self.runs += 1
        self.snapshots.append((to_hex(run.run().snapshot), _model(self.source)))

    @precondition(lambda self: self.snapshots)
    @rule(data=st.data())
    def restore_any(self, data: st.DataObject) -> None:
        """Over what the restore before has left, so that everything that differs must be found."""
        snapshot, expected = data.draw(st.sampled_from(self.snapshots))
        restored = restore(
            self.session, self.folder / "target", snapshot=f"{snapshot}:{self.source}", delete=True
        )
        assert restored.verified is not None
        assert restored.verified.problems == ()
        assert _model(self.folder / "target") == expected

    @invariant()
    def no_workspace_is_left(self) -> None:
        runs = self.folder / "repository/holdfast/runs"
        assert not runs.exists() or not list(runs.iterdir())


def _model(folder: Path) -> Model:
    found: Model = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        content = b""
        if stat.S_ISREG(status.st_mode):
            content = path.read_bytes()
        elif stat.S_ISLNK(status.st_mode):
            content = os.readlink(bytes(path))
        found[str(path.relative_to(folder))] = status.st_mode, content, status.st_mtime_ns
    return found


TestBackups = Backups.TestCase
TestBackups.settings = settings(max_examples=4, stateful_step_count=16, deadline=None)
