"""A repository that has acknowledged one snapshot, and a source that has changed since: what faults begin with."""

import shutil
from pathlib import Path

import pytest

from tests.support.comparison import MIB, plant
from tests.support.engine import new_session
from tests.support.engine_process import backup
from tests.support.faults import Place


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """In its folder: `earlier`, a repository with one snapshot, and `whole`, the same after the next one."""
    place = Place(folder=tmp_path_factory.mktemp("template"))
    place.source.mkdir()
    plant(place.source, files=12, large_bytes=2 * MIB)
    with new_session(place.repository):
        pass
    backup(place.repository, place.source, run_id="earlier")
    shutil.copytree(place.repository, place.folder / "earlier")
    (place.source / "canary-large").write_bytes(b"changed" + (place.source / "canary-large").read_bytes())
    for number in range(4):
        (place.source / f"canary-new-{number}").write_bytes(b"%d" % number * 2_000)
    with (place.source / "canary-ends-in-a-hole").open("wb") as file:
        file.write(b"data")
        file.truncate(4 * MIB)
    backup(place.repository, place.source, run_id="later")
    place.repository.rename(place.folder / "whole")
    return place


@pytest.fixture
def place(template: Place, tmp_path: Path) -> Place:
    """The template's source (never written to), and a repository with the earlier snapshot."""
    mine = Place(folder=tmp_path)
    mine.source.symlink_to(template.source)
    mine.reset(template, to="earlier")
    return mine
