"""`migrate` makes a repository of version 1 one of version 2; a death leaves one or the other."""

from pathlib import Path

import pytest

from holdfast.errors import UsageError
from holdfast.repair.upgrade import upgrade
from holdfast.repository.repository import Repository
from holdfast.repository.session import RepositorySession
from holdfast.storage.local import LocalStorage
from tests.repair.conftest import Commands, copied, dies_at, in_memory, quick_session
from tests.support.comparison import plant, restic
from tests.support.doubles import ResticOnlyStorage
from tests.support.engine import PASSWORD, EngineRun, new_session


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A repository of version 1 with a snapshot."""
    source, path = tmp_path / "source", tmp_path / "repository"
    source.mkdir()
    plant(source, files=10, large_bytes=0)
    with new_session(path, version=1) as session:
        EngineRun.of(session, source).run()
    return path


def test_it_lists_applies_and_has_nothing_left_to_do(old: Path, tmp_path: Path, commands: Commands) -> None:
    by_restic = copied(old, tmp_path / "by-restic")
    restic(by_restic, PASSWORD, "migrate", "upgrade_repo_v2")
    assert "upgrade_repo_v2" in commands("migrate")
    assert commands("migrate", "upgrade_repo_v2") == "migration upgrade_repo_v2: success\n"
    assert "no migrations found" in commands("migrate")
    assert "of version 2 already" in commands.error("migrate", "upgrade_repo_v2")
    assert restic(old, PASSWORD, "cat", "config") == restic(by_restic, PASSWORD, "cat", "config")
    assert "is not known" in commands.error("migrate", "s3_layout")
    (tmp_path / "source" / "text").write_text("compresses well " * 10_000)
    with quick_session(old) as session:
        EngineRun.of(session, tmp_path / "source", run_id="v2").run()
    assert "no errors were found" in restic(old, PASSWORD, "check", "--read-data")


def test_what_is_damaged_is_not_touched(old: Path, commands: Commands) -> None:
    next((old / "data").glob("*/*")).unlink()
    assert "nothing was changed" in commands.error("migrate", "upgrade_repo_v2")
    with quick_session(old) as session:
        assert session.repository.version == 1


def test_a_death_leaves_one_version_or_the_other(old: Path) -> None:
    versions = []
    for at in range(20):
        place = in_memory(old)
        died = dies_at(place, at, done=bool(at % 2), work=upgrade)
        with quick_session(place) as session:
            versions.append(session.repository.version)
        if not died:
            break
    assert versions == sorted(versions)
    assert set(versions) == {1, 2}


def test_where_files_cannot_be_replaced_it_is_refused(old: Path) -> None:
    storage = ResticOnlyStorage(LocalStorage(old))
    assert not storage.traits.replaces
    session = RepositorySession(Repository.open(storage, PASSWORD))
    with pytest.raises(UsageError, match="cannot be replaced"):
        upgrade(session)
    session.close()
