"""Repositories as other programs write them: listed, verified, restored and backed up to, and restic reads ours after.

Made here from their formats (others.py). restic's, rustic's and rustic_core's own test repositories hold these kinds.
"""

import asyncio
import os
import time
from pathlib import Path

import pytest

from holdfast.crypto.kdf import ScryptParameters
from holdfast.repository.repository import Repository
from holdfast.repository.snapshots import list_snapshots
from holdfast.storage.locations import open_storage
from holdfast.terms import VerifyLevel
from holdfast.verify.snapshot import verify_snapshot
from tests.interop.others import RECIPES
from tests.interop.stored import nodes
from tests.support.comparison import restic, same
from tests.support.engine import PASSWORD, EngineRun, open_session
from tests.support.restore import restore

BACK_NS = 3600 * 10**9


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "sub" / "empty").mkdir(parents=True)
    (folder / "sub" / "small").write_bytes(b"a few bytes")
    (folder / "sub" / "none").touch()
    (folder / "large").write_bytes(os.urandom(1_500_000))
    (folder / "link").symlink_to("sub/small")
    os.utime(folder / "sub" / "small", ns=(10**18, 10**18 + 123_456_789))
    return folder


@pytest.fixture(params=[(name, version) for name in RECIPES for version in (2, 1)], ids=str)
def theirs(request: pytest.FixtureRequest, source: Path, tmp_path: Path) -> Path:
    """A repository with a snapshot of the source, an hour old."""
    name, version = request.param
    path = tmp_path / "theirs"
    repository = Repository.init(
        open_storage(str(path)), PASSWORD, version=version, kdf=ScryptParameters.for_tests()
    )
    RECIPES[name](repository, source, time.time_ns() - BACK_NS)
    return path


def test_what_others_wrote(theirs: Path, source: Path, tmp_path: Path) -> None:
    assert "no errors were found" in restic(theirs, PASSWORD, "check", "--read-data")
    with open_session(theirs) as session:
        snapshots = list_snapshots(session.repository)
        assert {tuple(stored.snapshot.paths or ()) for stored in snapshots} == {(str(source),)}
        for stored in snapshots:
            report = asyncio.run(verify_snapshot(session, stored.id, VerifyLevel.FULL))
            assert report.problems == []
        restored = restore(session, tmp_path / "target", snapshot=f"latest:{source}")
        assert not restored.finished.partial
        assert same(source, tmp_path / "target")


def test_a_backup_on_top(theirs: Path, source: Path, tmp_path: Path) -> None:
    """Compared with their snapshot: nothing is read again; a file that changes leaves its neighbours as they were."""
    with open_session(theirs) as session:
        run = EngineRun.of(session, source, run_id="first")
        assert run.open().opening.parent
        (totals,) = [page.totals for page in run.select()]
        assert (totals.files_unmodified, totals.files_to_read, totals.errors) == (3, 0, 0)
        run.run()
        (source / "sub" / "none").write_bytes(b"something")
        result = EngineRun.of(session, source, run_id="second").run()
        assert (result.totals.files, result.totals.errors) == (3, 0)
    assert "no errors were found" in restic(theirs, PASSWORD, "check", "--read-data")
    restic(theirs, PASSWORD, "restore", "latest", "--target", str(tmp_path / "target"))
    assert same(source, tmp_path / "target" / source.relative_to("/"))


def test_members_that_nobody_knows_stay(source: Path, tmp_path: Path) -> None:
    """As long as a file is not read again, its node is the one that the other program wrote."""
    path = tmp_path / "theirs"
    repository = Repository.init(open_storage(str(path)), PASSWORD, kdf=ScryptParameters.for_tests())
    RECIPES["nulls"](repository, source, time.time_ns() - BACK_NS)
    (source / "sub" / "none").write_bytes(b"something")
    with open_session(path) as session:
        EngineRun.of(session, source).run()
        more = {path.rpartition(b"/")[2]: node.more for path, node in nodes(session, "latest")}
    assert more[b"small"] == b'"x_of_tomorrow":{"a":[1,null]}'
    assert more[b"none"] == b""
