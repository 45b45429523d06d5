"""`stats` counts as restic does; what a snapshot and a source have alone is what a prune without them frees."""

import json
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from holdfast.repository.layout import SNAPSHOTS
from holdfast.repository.snapshots import list_snapshots
from holdfast.stats.modes import CountMode
from holdfast.stats.shares import Shares, reckon_shares
from tests.interop.stored import restic_backup
from tests.repair.conftest import Commands, copied
from tests.support.comparison import plant, restic
from tests.support.engine import PASSWORD, EngineRun, new_session, open_session


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Files of one content, hard links, empty files, the same folder twice."""
    folder = tmp_path / "source"
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        plant(folder / name, files=8, large_bytes=2 << 20)
    (folder / "a" / "link").hardlink_to(folder / "a" / "canary-large")
    (folder / "empty").touch()
    (folder / "zeros").write_bytes(bytes(300_000))
    return folder


def changed(source: Path) -> None:
    """A file more, a file less, a longer file."""
    (source / "new").write_bytes(Random(3).randbytes(50_000))
    (source / "a" / "canary-dir-1" / "canary-file-1").unlink()
    with (source / "b" / "canary-large").open("ab") as large:
        large.write(Random(4).randbytes(70_000))


@pytest.mark.parametrize("version", [1, 2])
def test_it_counts_as_restic_does(tmp_path: Path, source: Path, commands: Commands, version: int) -> None:
    path = tmp_path / "repository"
    with new_session(path, version=version) as session:
        EngineRun.of(session, source).run()
    restic_backup(path, source, "--tag", "theirs")
    changed(source)
    restic_backup(path, source, "--tag", "theirs")
    with open_session(path) as session:
        EngineRun.of(session, source, run_id="again").run()
    for words in ((), ("latest",), ("--tag", "theirs")):
        for mode in CountMode:
            (ours,) = commands.json("stats", "--mode", mode.value, *words)
            theirs = json.loads(restic(path, PASSWORD, "stats", "--json", "--mode", mode.value, *words))
            assert {name: ours.get(name, 0) for name in theirs} == theirs, (mode, words)
    raw = commands.json("stats", "--mode", "raw-data")[0]
    assert ("compression_ratio" in raw) is (version == 2)
    assert "Total File Count:  " in commands("stats")
    assert "is not known" in commands.error("stats", "--mode", "x")
    assert "no snapshot has 'nobody'" in commands.error("stats", "--host", "nobody")


def test_what_belongs_to_one_alone_is_what_a_prune_without_it_frees(tmp_path: Path, source: Path) -> None:
    path, other = tmp_path / "repository", tmp_path / "other"
    other.mkdir()
    (other / "own").write_bytes(Random(9).randbytes(90_000))
    (other / "shared").write_bytes((source / "zeros").read_bytes())
    with new_session(path) as session:
        EngineRun.of(session, source, run_id="1").run()
        changed(source)
        EngineRun.of(session, source, run_id="2").run()
        EngineRun.of(session, other, run_id="3").run()
    shares = shares_of(path)
    whole = raw_bytes(path)
    for snapshot in shares.snapshots:
        assert (
            whole - raw_bytes_without(path, tmp_path / "copy", [snapshot.stored.id]) == snapshot.unique_bytes
        )
        assert snapshot.unique_bytes > 0
    for one in shares.sources:
        ids = [
            share.stored.id
            for share in shares.snapshots
            if tuple(share.stored.snapshot.paths or ()) == one.source.paths
        ]
        assert len(ids) == one.snapshots
        assert whole - raw_bytes_without(path, tmp_path / "copy", ids) == one.unique_bytes
    assert sum(share.added_bytes for share in shares.snapshots) == whole
    assert [(week.snapshots, week.added_bytes) for week in shares.weeks] == [(3, whole)]


def test_growth_is_told_by_weeks_without_a_gap(tmp_path: Path, source: Path, commands: Commands) -> None:
    path = tmp_path / "repository"
    with new_session(path):
        pass
    for day in (2, 8, 9, 23):
        (source / "grows").write_bytes(Random(day).randbytes(40_000 * day))
        restic_backup(path, source, "--time", f"2026-03-{day:02d} 12:00:00")
    (told,) = commands.json("stats", "--mode", "shares")
    weeks: list[dict[str, Any]] = told["weeks"]
    assert [(week["monday"], week["snapshots"]) for week in weeks] == [
        ("2026-03-02", 2),
        ("2026-03-09", 1),
        ("2026-03-16", 0),
        ("2026-03-23", 1),
    ]
    assert weeks[2]["added_bytes"] == 0
    assert 900_000 < weeks[3]["added_bytes"] < 1_000_000
    assert sum(week["added_bytes"] for week in weeks) == raw_bytes(path)
    assert "2026-03-16          0        0 B" in commands("stats", "--mode", "shares")
    assert "the whole repository" in commands.error("stats", "latest", "--mode", "shares")


def shares_of(path: Path) -> Shares:
    with open_session(path) as session:
        snapshots = list_snapshots(session.repository)
        with session.hold() as held:
            return reckon_shares(held, snapshots)


def raw_bytes(path: Path) -> int:
    """What restic counts as stored, of all that snapshots refer to."""
    return int(json.loads(restic(path, PASSWORD, "stats", "--json", "--mode", "raw-data"))["total_size"])


def raw_bytes_without(path: Path, copy: Path, ids: Iterable[bytes]) -> int:
    """The same without these snapshots."""
    copied(path, copy)
    for snapshot in ids:
        (copy / SNAPSHOTS / snapshot.hex()).unlink()
    return raw_bytes(copy)
