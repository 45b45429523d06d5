"""A small source with its repository, for tests of what a restore selects, overwrites, deletes and leaves alone."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from holdfast.repository.session import RepositorySession
from tests.support.engine import EngineRun, new_session
from tests.support.restore import Restored, restore
from tests.support.trees import itemized

FILES = {
    "readme": b"read me",
    "docs/guide": b"guide" * 100,
    "docs/deep/notes": b"notes",
    "docs/deep/picture": Random(5).randbytes(9 << 20),  # more than the largest chunk
    "bin/tool": b"#!tool",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A source, an open repository with one snapshot of it, and a target. Restores are of the source's own folder."""

    session: RepositorySession
    source: Path
    target: Path

    def restore(self, **options: object) -> Restored:
        return restore(self.session, self.target, **{"snapshot": f"latest:{self.source}", **options})

    def differences(self) -> list[str]:
        """What rsync finds, but for the target itself: one that was there and was named keeps its attributes."""
        found = itemized(self.source, self.target)
        return [line for line in found if not line.endswith(" ./")]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    source = tmp_path / "source"
    for name, content in FILES.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content)
    (source / "link").symlink_to("readme")
    os.link(source / "readme", source / "docs/second-name")
    with new_session(tmp_path / "repository") as session:
        EngineRun.of(session, source).run()
        yield Place(session=session, source=source, target=tmp_path / "target")


def listing(folder: Path) -> set[str]:
    """Everything below a folder, relative to it."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}
