"""Stock restic checks, lists and restores what Holdfast wrote, and goes on from it."""

from pathlib import Path

import msgspec
import pytest

from holdfast.chunker import MIN_CHUNK_BYTES
from holdfast.format.tree import Node
from holdfast.ids import to_hex
from holdfast.repository.session import RepositorySession
from holdfast.repository.snapshots import find_snapshot
from tests.interop.stored import as_go_prints, nodes, restic_backup, restic_json
from tests.support.comparison import restic
from tests.support.engine import PASSWORD, EngineRun, new_session, open_session
from tests.support.trees import inside, itemized


@pytest.fixture(scope="module", params=[2, 1], ids=["v2", "v1"])
def ours(request: pytest.FixtureRequest, planted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one snapshot of ours."""
    path = tmp_path_factory.mktemp("ours") / "repository"
    with new_session(path, version=request.param) as session:
        EngineRun.of(session, planted).run()
    return path


def test_restic_checks_every_byte(ours: Path) -> None:
    assert "no errors were found" in restic(ours, PASSWORD, "check", "--read-data")


def test_restic_lists_what_we_stored(ours: Path) -> None:
    listed = {entry["path"]: entry for entry in restic_json(ours, "ls", "latest")[1:]}
    with open_session(ours) as session:
        stored = list(nodes(session, "latest"))
    # Two names that are not UTF-8 may look the same in JSON.
    assert len({as_go_prints(path) for path, _ in stored}) == len(listed)
    for path, node in stored:
        entry = listed[as_go_prints(path)]
        assert entry["name"] == as_go_prints(node.name)
        assert (entry["type"], entry.get("mode", 0)) == (node.kind, node.mode)
        assert (entry["uid"], entry["gid"]) == (node.uid, node.gid)
        assert (entry["mtime"], entry["atime"], entry["ctime"]) == (node.mtime, node.atime, node.ctime)
        assert entry.get("size", 0) == node.size


def test_restic_restores_ours(ours: Path, planted: Path, tmp_path: Path) -> None:
    restic(ours, PASSWORD, "restore", "latest", "--target", str(tmp_path))
    assert itemized(planted, inside(tmp_path, planted)) == []


def test_our_nodes_are_those_of_restic(planted: Path, tmp_path: Path) -> None:
    """Field by field, but for two: restic gives every node a device, and cuts large files in its own way."""
    repository = tmp_path / "repository"
    with new_session(repository) as session:
        EngineRun.of(session, planted).run()
    with open_session(repository) as session:
        ours = _comparable(session, planted)
    restic_backup(repository, planted, "--force")
    with open_session(repository) as session:
        theirs = _comparable(session, planted)
    assert len(theirs) > 300
    assert ours == theirs


def test_restic_finds_everything_unchanged_since_ours(planted: Path, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    with new_session(repository) as session:
        counted = EngineRun.of(session, planted).run()
    summary = restic_backup(repository, planted)
    assert (summary["files_new"], summary["files_changed"]) == (0, 0)
    assert (summary["files_unmodified"], summary["data_blobs"]) == (counted.totals.files, 0)


def test_we_find_everything_unchanged_since_restic(planted: Path, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    with new_session(repository):
        pass
    summary = restic_backup(repository, planted)
    with open_session(repository) as session:
        theirs = find_snapshot(session.repository, "latest")
        run = EngineRun.of(session, planted)
        assert run.open().opening.parent == theirs.id
        result = run.run()
        ours = find_snapshot(session.repository, to_hex(result.snapshot)).snapshot.summary
    assert ours is not None
    assert (ours.files_new, ours.files_changed) == (0, 0)
    assert (ours.files_unmodified, ours.data_blobs) == (summary["files_new"], 0)


def _comparable(session: RepositorySession, source: Path) -> dict[bytes, Node]:
    """The nodes below the source without what may differ; what is above it changes all the time."""
    above = bytes(source) + b"/"
    return {
        path: msgspec.structs.replace(
            node,
            device_id=0,
            subtree=None,
            content=node.content if node.size < MIN_CHUNK_BYTES else None,
        )
        for path, node in nodes(session, "latest")
        if path.startswith(above)
    }
