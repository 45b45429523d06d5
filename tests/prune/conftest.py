"""A repository of small packs, four snapshots, and as many sources as there were changes."""

import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from tests.support.comparison import restic
from tests.support.engine import PASSWORD, EngineRun, new_session, open_session
from tests.support.faults import stock_restic

_FILES = 36


@dataclass(frozen=True, slots=True)
class Place:
    """A folder with a source and a repository. Each snapshot's source is kept, under its number."""

    folder: Path

    @property
    def source(self) -> Path:
        return self.folder / "source"

    @property
    def repository(self) -> Path:
        return self.folder / "repository"

    def packs(self) -> set[str]:
        return {path.name for path in (self.repository / "data").rglob("*") if path.is_file()}

    def snapshots(self) -> list[str]:
        """Their ids, oldest first."""
        listed = stock_restic(self.repository, "snapshots", "--json")
        return [one["id"] for one in sorted(json.loads(listed), key=lambda one: one["time"])]

    def restic(self, *arguments: str | Path) -> str:
        """Stock restic, with its locks; it waits for ours, which linger for a second."""
        return restic(self.repository, PASSWORD, *map(str, arguments))

    def forget(self, *snapshots: str) -> None:
        for snapshot in snapshots:
            (self.repository / "snapshots" / snapshot).unlink()

    def change(self, seed: int) -> None:
        """Change a third of the source's files."""
        random = Random(seed)
        for number in range(_FILES):
            path = self.source / f"dir-{number % 6}" / f"file-{number}"
            path.parent.mkdir(exist_ok=True, parents=True)
            if not path.exists() or random.random() < 0.3:
                path.write_bytes(random.randbytes(random.randrange(100, 40_000)))

    def backup(self, run_id: str) -> None:
        with open_session(self.repository, small=True) as session:
            EngineRun.of(session, self.source, run_id=run_id).run()

    def age(self) -> None:
        """Have two days pass for packs: a prune lets young ones be that no index names."""
        age_packs(self.repository)

    def assert_whole(self, *, snapshots: int) -> None:
        """Restic reads all that snapshots need without an error."""
        assert len(self.snapshots()) == snapshots
        assert "no errors were found" in stock_restic(self.repository, "check", "--read-data")

    def assert_sound(self, *, snapshots: int) -> None:
        """The same, and there is no pack that no index names."""
        self.assert_whole(snapshots=snapshots)
        with open_session(self.repository, small=True) as session, session.hold() as held:
            named = {pack.id.hex() for pack in held.index.packs()}
        assert self.packs() == named

    def copy(self, folder: Path) -> "Place":
        """The same in another folder."""
        other = Place(folder)
        shutil.copytree(self.repository, other.repository, symlinks=True)
        shutil.copytree(self.source, other.source, symlinks=True)
        return other


def age_packs(repository: Path) -> None:
    """Date packs two days back."""
    then_s = time.time() - 2 * 86_400.0
    for path in (repository / "data").rglob("*"):
        if path.is_file():
            os.utime(path, (then_s, then_s))


def make_place(folder: Path) -> Place:
    """Four snapshots, of which the first two are forgotten."""
    place = Place(folder)
    with new_session(place.repository, small=True):
        pass
    for number in range(4):
        place.change(number)
        place.backup(f"run-{number}")
    place.forget(*place.snapshots()[:2])
    return place


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Made once."""
    return make_place(tmp_path_factory.mktemp("prune"))


@pytest.fixture
def place(template: Place, tmp_path: Path) -> Place:
    """The template's repository with a source of its own."""
    return template.copy(tmp_path)
