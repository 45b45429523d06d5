"""Snapshots that lack something are stored again without it, marked so; restic then finds nothing wrong."""

import itertools
import json
import shutil
import time
from pathlib import Path
from random import Random

import pytest

from holdfast.errors import CorruptFileError, SnapshotNotFoundError
from holdfast.format.coverage import COVERAGE_TAG, Gap, gaps_of, root_gaps
from holdfast.format.index import BlobType
from holdfast.ids import BlobId, PackId, from_hex, sha256
from holdfast.repair.documents import RepairOrder, RepairRun, Report
from holdfast.repair.opening import open_repair
from holdfast.repair.steps import finish_repair, look_at_shard, plan_repair
from holdfast.repository.choice import Choice
from holdfast.repository.session import RepositorySession
from holdfast.repository.snapshots import StoredSnapshot, list_snapshots
from holdfast.retention.holds import AlarmNote, hold, raise_alarm, settle_alarm
from holdfast.storage.contract import Storage
from holdfast.terms import RepairKind
from tests.interop.stored import nodes, restic_backup
from tests.repair.conftest import dies_at, in_memory, on_disk, quick_session
from tests.support.comparison import restic
from tests.support.engine import PASSWORD, EngineRun, new_session, nothing
from tests.support.repair import repair
from tests.support.verification import verify

SNAPSHOTS = RepairOrder(kind=RepairKind.SNAPSHOTS)
FORGET = RepairOrder(kind=RepairKind.SNAPSHOTS, forget=True)
LOST = Random(1).randbytes(50_000)
KEPT = Random(2).randbytes(60_000)
INDEX = RepairOrder(kind=RepairKind.INDEX)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "whole").mkdir()
    (folder / "deep" / "er" / "lost").write_bytes(LOST)
    (folder / "deep" / "kept").write_bytes(KEPT)
    (folder / "whole" / "file").write_bytes(b"sound")
    return folder


@pytest.fixture
def broken(tmp_path: Path, source: Path) -> Path:
    """Two snapshots of ours that lack a file's content, one of ours and one of restic's that lack nothing."""
    path = tmp_path / "repository"
    with new_session(path) as session:
        # by itself in a pack: what is lost is this alone
        alone = tmp_path / "alone"
        alone.mkdir()
        (alone / "lost").write_bytes(LOST)
        EngineRun.of(session, alone, run_id="0").run()
        EngineRun.of(session, source, run_id="1").run()
        (source / "new").write_bytes(b"new")
        EngineRun.of(session, source, run_id="2").run()
        EngineRun.of(session, source / "whole", run_id="3").run()
    restic_backup(path, source / "whole", "--tag", "theirs")
    lose(path, BlobId(sha256(LOST)), BlobType.DATA)
    return path


def lose(path: Path, blob: BlobId, kind: BlobType) -> PackId:
    """Remove the pack that holds a blob, and what the index says of it."""
    with quick_session(path) as session, session.hold() as held:
        location = held.index.lookup(blob, kind)
        assert location is not None
    (path / "data" / location.pack.hex()[:2] / location.pack.hex()).unlink()
    with quick_session(path) as session:
        repair(session, INDEX)
    return location.pack


def run(place: Path | Storage, order: RepairOrder = SNAPSHOTS) -> Report:
    with quick_session(place) as session:
        return repair(session, order)


def listed(place: Path | Storage) -> list[StoredSnapshot]:
    with quick_session(place) as session:
        return list_snapshots(session.repository)


def is_sound(path: Path) -> bool:
    return "no errors were found" in restic(path, PASSWORD, "check", "--read-data")


def test_what_cannot_be_whole_is_stored_without_that_and_marked(broken: Path, source: Path) -> None:
    before = listed(broken)
    report = run(broken, FORGET)
    after = listed(broken)
    assert len(after) == len(before) == 5
    assert report.path_count == 2  # a directory that two snapshots have is told of once
    assert {path.path for path in report.paths} >= {bytes(source / "deep" / "er" / "lost")}
    repaired = dict(report.snapshots_repaired)
    assert repaired.keys() == {stored.id for stored in before if stored.id not in {new.id for new in after}}
    by_id = {stored.id: stored.snapshot for stored in after}
    for stored in before:
        if stored.id not in repaired:
            continue
        new = by_id[repaired[stored.id]]  # type: ignore[index]
        assert new.original == stored.id.hex()
        assert "repaired" in (new.tags or ())
        assert "holdfast-status:partial" in (new.tags or ())
        assert "holdfast-status:complete" not in (new.tags or ())
        assert not [tag for tag in new.tags or () if tag.startswith(COVERAGE_TAG)]
        assert root_gaps(stored.snapshot) is not None
        assert root_gaps(new) is None
        assert (new.time, new.hostname, new.paths) == (
            stored.snapshot.time,
            stored.snapshot.hostname,
            stored.snapshot.paths,
        )
    assert is_sound(broken)
    assert run(broken, FORGET) == Report()


def test_the_sound_part_stays(broken: Path, source: Path, tmp_path: Path) -> None:
    run(broken, FORGET)
    (newest,) = [stored for stored in listed(broken) if stored.snapshot.paths == [str(source)]][-1:]
    target = tmp_path / "target"
    restic(broken, PASSWORD, "restore", newest.id.hex(), "--target", str(target))
    root = target / source.relative_to("/")
    assert (root / "deep" / "er" / "lost").read_bytes() == b""
    assert (root / "deep" / "kept").read_bytes() == KEPT
    assert (root / "whole" / "file").read_bytes() == b"sound"
    assert (root / "new").read_bytes() == b"new"


def test_without_forget_the_broken_ones_stay_and_nothing_is_doubled(broken: Path) -> None:
    before = {stored.id for stored in listed(broken)}
    report = run(broken)
    after = {stored.id for stored in listed(broken)}
    assert before < after
    assert len(after) == len(before) + 3
    assert run(broken).snapshots_repaired == report.snapshots_repaired
    assert {stored.id for stored in listed(broken)} == after
    for old, _ in report.snapshots_repaired:
        (broken / "snapshots" / old.hex()).unlink()
    assert is_sound(broken)


def test_a_dry_run_says_the_same_and_changes_nothing(broken: Path) -> None:
    before = sorted(path for path in broken.rglob("*") if path.is_file() and "holdfast" not in path.parts)
    dry = run(broken, RepairOrder(kind=RepairKind.SNAPSHOTS, forget=True, dry_run=True))
    assert (
        sorted(path for path in broken.rglob("*") if path.is_file() and "holdfast" not in path.parts)
        == before
    )
    done = run(broken, FORGET)
    assert [old for old, _ in dry.snapshots_repaired] == [old for old, _ in done.snapshots_repaired]
    assert dry.paths == done.paths


def test_only_those_that_are_meant_are_repaired(broken: Path, source: Path) -> None:
    report = run(broken, RepairOrder(kind=RepairKind.SNAPSHOTS, which=Choice(paths=(str(source),))))
    assert len(report.snapshots_repaired) == 2
    named = listed(broken)[0].id.hex()[:12]
    assert (
        len(run(broken, RepairOrder(kind=RepairKind.SNAPSHOTS, snapshots=(named,))).snapshots_repaired) == 1
    )
    with pytest.raises(SnapshotNotFoundError):
        run(broken, RepairOrder(kind=RepairKind.SNAPSHOTS, snapshots=("0123456789ab",)))


def test_a_lost_directory_becomes_an_empty_one_that_was_not_read_whole(broken: Path, source: Path) -> None:
    with quick_session(broken) as session:
        trees = {path: node.subtree_id for path, node in nodes(session, listed(broken)[2].id.hex())}
        lost = trees[bytes(source / "deep")]
        assert lost is not None
    lose_tree(broken, lost)
    report = run(broken, FORGET)
    assert (bytes(source / "deep"), True) in {(path.path, path.whole) for path in report.paths}
    with quick_session(broken) as session:
        (newest,) = [stored for stored in listed(broken) if stored.snapshot.paths == [str(source)]][-1:]
        found = dict(nodes(session, newest.id.hex()))
    assert gaps_of(found[bytes(source / "deep")].error) == {Gap.UNREADABLE}
    assert bytes(source / "deep" / "kept") not in found
    assert bytes(source / "whole" / "file") in found
    assert is_sound(broken)


def lose_tree(path: Path, tree: BlobId) -> None:
    """Store all other trees again, so that only this one is lost with its pack."""
    with quick_session(path) as session:
        with session.hold() as held:
            location = held.index.lookup(tree, BlobType.TREE)
            assert location is not None
        file = path / "data" / location.pack.hex()[:2] / location.pack.hex()
    file.chmod(0o600)
    with file.open("r+b") as pack:
        pack.seek(location.entry.offset + 20)
        pack.write(b"damage")
    run(path, RepairOrder(kind=RepairKind.PACKS, packs=(location.pack.hex(),)))


def test_a_snapshot_of_which_nothing_is_left_goes_only_when_that_is_asked(broken: Path, source: Path) -> None:
    whole = next(stored for stored in listed(broken) if stored.snapshot.paths == [str(source)])
    lose_tree(broken, BlobId(from_hex(whole.snapshot.tree)))
    report = run(broken)
    assert report.snapshots_left == [whole.id]
    assert whole.id in {stored.id for stored in listed(broken)}
    assert run(broken, FORGET).snapshots_removed == [whole.id]
    assert whole.id not in {stored.id for stored in listed(broken)}
    assert is_sound(broken)


def test_an_unreadable_snapshot_file_goes_only_when_it_is_named(broken: Path) -> None:
    victim = listed(broken)[3].id
    path = broken / "snapshots" / victim.hex()
    path.chmod(0o600)
    path.write_bytes(b"no snapshot")
    with pytest.raises(CorruptFileError, match=victim.hex()[:8]):
        run(broken, FORGET)
    named = (victim.hex(),)
    assert run(broken, RepairOrder(kind=RepairKind.SNAPSHOTS, snapshots=named)).snapshots_left == [victim]
    assert path.exists()
    order = RepairOrder(kind=RepairKind.SNAPSHOTS, snapshots=named, forget=True)
    alarm = AlarmNote(host="h", source="docs", paths=(), since_ns=1, alarm="all has changed", run="guard-1")
    with quick_session(broken) as session:
        raise_alarm(session.repository, alarm)
    assert run(broken, order).snapshots_left == [victim], "it may be of the source that the alarm is about"
    with quick_session(broken) as session:
        settle_alarm(session.repository, "h", "docs")
    assert run(broken, order).snapshots_removed == [victim]
    assert not path.exists()


def test_marked_content_that_no_pack_has_counts_as_lost(tmp_path: Path, source: Path) -> None:
    """Before `repair packs`, by what a verification has marked; what can be read all the same is not lost."""
    path = tmp_path / "repository"
    with new_session(path) as session:
        EngineRun.of(session, source, run_id="1").run()
        with session.hold() as held:
            location = held.index.lookup(BlobId(sha256(LOST)), BlobType.DATA)
            assert location is not None
    file = path / "data" / location.pack.hex()[:2] / location.pack.hex()
    file.chmod(0o600)
    with file.open("r+b") as pack:
        pack.seek(location.entry.offset + 20)
        pack.write(b"damage")
    assert run(path).snapshots_repaired == []
    with quick_session(path) as session:
        assert verify(session).damaged_packs == 1
    assert [found.path for found in run(path).paths] == [bytes(source / "deep" / "er" / "lost")]


def test_an_index_that_cannot_be_read_is_to_be_repaired_first(broken: Path) -> None:
    file = next((broken / "index").iterdir())
    file.chmod(0o600)
    file.write_bytes(b"no index")
    with pytest.raises(CorruptFileError) as refused:
        run(broken)
    assert "repair index" in refused.value.hint
    run(broken, INDEX)
    assert len(run(broken, FORGET).snapshots_repaired) == 3


def test_a_death_at_each_write_leaves_every_snapshot_or_what_replaces_it(
    broken: Path, tmp_path: Path
) -> None:
    before = {stored.id.hex() for stored in listed(broken)}

    def work(session: RepositorySession) -> None:
        repair(session, FORGET)

    place = in_memory(broken)
    for at in itertools.count():
        place = in_memory(broken)
        died = dies_at(place, at, done=bool(at % 2), work=work)
        found = listed(place)
        assert {stored.snapshot.original for stored in found} | {
            stored.id.hex() for stored in found
        } >= before
        run(place, FORGET)
        assert len(listed(place)) == len(before)
        if not died:
            break
    assert at > 12
    assert is_sound(on_disk(place, tmp_path / "on-disk"))


def test_directories_nested_as_deep_as_one_likes(tmp_path: Path) -> None:
    path, top = tmp_path / "repository", tmp_path / "source"
    deep = top
    for _ in range(300):
        deep = deep / "d"
    deep.mkdir(parents=True)
    (deep / "lost").write_bytes(LOST)
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "lost").write_bytes(LOST)
    with new_session(path) as session:
        EngineRun.of(session, alone, run_id="0").run()
        EngineRun.of(session, top, run_id="1").run()
    lose(path, BlobId(sha256(LOST)), BlobType.DATA)
    assert run(path, FORGET).path_count == 2
    assert is_sound(path)


def test_a_backup_afterwards_stores_again_what_the_source_has(
    broken: Path, source: Path, tmp_path: Path
) -> None:
    run(broken, FORGET)
    with quick_session(broken) as session:
        EngineRun.of(session, source, run_id="after").run()
    target = tmp_path / "target"
    restic(broken, PASSWORD, "restore", "latest", "--target", str(target))
    assert (target / source.relative_to("/") / "deep" / "er" / "lost").read_bytes() == LOST
    shutil.rmtree(target)
    assert json.loads(restic(broken, PASSWORD, "snapshots", "--json", "latest"))


def test_what_is_held_stays_whatever_it_lacks(broken: Path, source: Path) -> None:
    whole = [stored for stored in listed(broken) if stored.snapshot.paths == [str(source)]]
    with quick_session(broken) as session:
        hold(session.repository, whole[0], by="a person", reason="a case", now_ns=time.time_ns())
    report = run(broken, FORGET)
    assert len(report.snapshots_repaired) == 3
    left = {stored.id for stored in listed(broken)}
    assert whole[0].id in left
    assert whole[1].id not in left
    assert run(broken, FORGET).snapshots_repaired == [
        pair for pair in report.snapshots_repaired if pair[0] == whole[0].id
    ]


def test_what_a_backup_heals_between_look_and_change_is_left_alone(broken: Path, source: Path) -> None:
    with quick_session(broken) as session:
        slow = RepairRun(session=session, run_id="slow")
        open_repair(slow, FORGET)
        plan_repair(slow)
        assert len(look_at_shard(slow, 0, nothing).broken) == 3
        EngineRun.of(session, source, run_id="heals", strategy="full").run()
        before = listed(broken)
        report = finish_repair(slow, nothing)
    assert (report.snapshots_repaired, report.path_count) == ([], 0)
    assert listed(broken) == before
    assert is_sound(broken)
