"""Repositories that stock restic made: Holdfast opens, verifies and restores them, with its own writing beside."""

import asyncio
from pathlib import Path

import pytest

from holdfast.repository.snapshots import find_snapshot
from holdfast.terms import VerifyLevel
from holdfast.verify.snapshot import verify_snapshot
from tests.interop.stored import restic_backup
from tests.support.comparison import restic
from tests.support.engine import PASSWORD, EngineRun, new_session, open_session
from tests.support.restore import restore
from tests.support.trees import inside, itemized


@pytest.fixture(scope="module", params=["2", "1"], ids=["v2", "v1"])
def theirs(request: pytest.FixtureRequest, planted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of restic's with one snapshot."""
    path = tmp_path_factory.mktemp("theirs") / "repository"
    (path / "locks").mkdir(parents=True)
    restic(path, PASSWORD, "init", "--repository-version", request.param)
    restic_backup(path, planted)
    return path


def test_we_restore_it(theirs: Path, planted: Path, tmp_path: Path) -> None:
    with open_session(theirs) as session:
        restored = restore(session, tmp_path / "target")
    assert restored.verified is not None
    assert restored.verified.problems == ()
    assert not restored.finished.partial
    assert itemized(planted, inside(tmp_path / "target", planted)) == []


def test_we_verify_every_byte(theirs: Path) -> None:
    with open_session(theirs) as session:
        snapshot = find_snapshot(session.repository, "latest").id
        report = asyncio.run(verify_snapshot(session, snapshot, VerifyLevel.FULL))
    assert report.problems == []
    assert report.bytes_read > 5_000_000


def test_both_write_into_it(theirs: Path, planted: Path, tmp_path: Path) -> None:
    """restic accepts what we add to a repository that it made, in either version."""
    with open_session(theirs) as session:
        EngineRun.of(session, planted, strategy="full").run()
        restored = restore(session, tmp_path / "target")
    assert not restored.finished.partial
    assert itemized(planted, inside(tmp_path / "target", planted)) == []
    assert "no errors were found" in restic(theirs, PASSWORD, "check", "--read-data")


def test_a_key_that_restic_added_opens_ours(tmp_path: Path) -> None:
    repository, password_file = tmp_path / "repository", tmp_path / "password"
    password_file.write_text("battery staple\n")
    with new_session(repository) as session:
        identity = session.repository.id
    restic(repository, PASSWORD, "key", "add", "--new-password-file", str(password_file))
    with open_session(repository, b"battery staple") as session:
        assert session.repository.id == identity
