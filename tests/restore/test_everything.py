"""A tree with everything comes back as it was, what stock restic cannot restore included."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.file_list import FileAction
from tests.support.engine import EngineRun, new_session
from tests.support.restore import restore
from tests.support.trees import inside, itemized, plant_everything


@pytest.mark.skipif(os.geteuid() != 0, reason="foreign owners, devices and trusted attributes need root")
def test_everything_comes_back(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    plant_everything(source)
    with new_session(tmp_path / "repository") as session:
        result = EngineRun.of(session, source).run()
        restored = restore(session, tmp_path / "target")
    assert not result.partial
    assert not restored.finished.partial
    assert restored.verified is not None
    assert restored.verified.problems == ()
    assert itemized(source, inside(tmp_path / "target", source)) == []
    told = sorted(record.path for record in restored.records if record.action is FileAction.RESTORED)
    assert told == sorted(_paths_of_files(tmp_path / "target"))


@pytest.mark.skipif(os.geteuid() != 0, reason="foreign owners, devices and trusted attributes need root")
def test_holes_stay_holes(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    plant_everything(source)
    with new_session(tmp_path / "repository") as session:
        EngineRun.of(session, source).run()
        restore(session, tmp_path / "target")
    for file in (source / "sparse_files").iterdir():
        back = inside(tmp_path / "target", file)
        assert back.stat().st_blocks <= file.stat().st_blocks, file.name


def _paths_of_files(target: Path) -> Iterator[bytes]:
    for path in target.rglob("*"):
        if path.is_symlink() or not path.is_dir():
            yield b"/" + bytes(path.relative_to(target))
