"""A damaged pack is found, what it costs is named, a full backup mends it, and then it goes."""

import asyncio
import os
from pathlib import Path
from random import Random

import pytest

from holdfast.format.index import BlobType
from holdfast.ids import PackId, SnapshotId, from_hex, sha256
from holdfast.repository.damage import DamagedPack, DamageMarks
from holdfast.repository.index.rewrite import entries_of
from holdfast.repository.session import HeldRepository, RepositorySession
from holdfast.terms import VerifyLevel
from holdfast.verify.documents import VerifyRun
from holdfast.verify.packs import check_packs
from holdfast.verify.plan import plan_verification
from holdfast.verify.report import ProblemKind
from holdfast.verify.shard import read_shard
from holdfast.verify.share import parse_share
from holdfast.verify.snapshot import verify_snapshot
from holdfast.verify.trees import check_trees
from tests.support.comparison import restic
from tests.support.engine import PASSWORD, EngineRun, new_session, nothing, open_session
from tests.support.verification import opened, verify

SMALL = b"the content of a small file"


def pack_of(session: RepositorySession, content: bytes) -> tuple[PackId, int]:
    """The pack that holds a blob, and a byte in the middle of it."""
    with session.hold() as held:
        location = held.index.lookup(sha256(content), BlobType.DATA)  # type: ignore[arg-type]
        assert location is not None
        return location.pack, location.entry.offset + location.entry.length // 2


def flip(repository: Path, pack: PackId, at: int) -> None:
    """Flip one bit."""
    path = repository / "data" / pack.hex()[:2] / pack.hex()
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 4]))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "small").write_bytes(SMALL)
    (folder / "same").write_bytes(SMALL)
    (folder / "other").write_bytes(Random(1).randbytes(100_000))
    return folder


def test_damage_is_found_named_mended_and_gone(tmp_path: Path, source: Path) -> None:
    repository = tmp_path / "repository"
    with new_session(repository) as session:
        first = EngineRun.of(session, source, run_id="first").run()
        assert verify(session, "sound").problem_count == 0
        pack, at = pack_of(session, SMALL)
        flip(repository, pack, at)

        found = verify(session, "damaged")
        assert [path.path for path in found.lost] == [
            os.fsencode(source / "same"),
            os.fsencode(source / "sub" / "small"),
        ]
        assert found.affected_snapshots == (first.snapshot,)
        assert (found.damaged_packs, found.damaged_blobs, found.mended_packs) == (1, 1, 0)
        with session.hold() as held:
            assert not held.index.has(sha256(SMALL), BlobType.DATA)  # type: ignore[arg-type]

        EngineRun.of(session, source, run_id="second", strategy="full").run()
        with session.hold() as held:
            assert held.loader.load(sha256(SMALL), BlobType.DATA) == SMALL  # type: ignore[arg-type]
        mended = verify(session, "mended")
        assert (mended.problem_count, mended.mended_packs) == (0, 1)
        assert DamageMarks(session.repository).load() == {}
        assert entries_of(session.repository, [pack]) == {}
        assert verify(session, "after").problem_count == 0
    assert "no errors were found" in restic(repository, PASSWORD, "check", "--read-data")


def test_a_backups_own_verification_marks_and_the_next_full_backup_mends(
    tmp_path: Path, source: Path
) -> None:
    repository = tmp_path / "repository"
    with new_session(repository) as session:
        first = EngineRun.of(session, source, run_id="first").run()
        pack, at = pack_of(session, SMALL)
        flip(repository, pack, at)

        found = asyncio.run(verify_snapshot(session, SnapshotId(first.snapshot), VerifyLevel.FULL))
        assert [(problem.kind, problem.path) for problem in found.problems] == [
            (ProblemKind.PACK_DAMAGED, b""),
            (ProblemKind.CONTENT_LOST, os.fsencode(source / "same")),
            (ProblemKind.CONTENT_LOST, os.fsencode(source / "sub" / "small")),
        ]
        assert {mark.pack: len(mark.blobs) for mark in DamageMarks(session.repository).load().values()} == {
            pack: 1
        }

        EngineRun.of(session, source, run_id="second", strategy="full").run()
        with session.hold() as held:
            assert held.loader.load(sha256(SMALL), BlobType.DATA) == SMALL  # type: ignore[arg-type]
        mended = verify(session, "mended")
        assert (mended.problem_count, mended.mended_packs) == (0, 1)
    assert "no errors were found" in restic(repository, PASSWORD, "check", "--read-data")


def test_a_missing_pack_is_marked_where_only_the_structure_is_looked_at(tmp_path: Path, source: Path) -> None:
    repository = tmp_path / "repository"
    with new_session(repository) as session:
        first = EngineRun.of(session, source, run_id="first").run()
        pack, _ = pack_of(session, SMALL)
        (repository / "data" / pack.hex()[:2] / pack.hex()).unlink()
        found = asyncio.run(verify_snapshot(session, SnapshotId(first.snapshot), VerifyLevel.STRUCTURE))
        assert found.problems[0].kind is ProblemKind.PACK_MISSING
        assert DamageMarks(session.repository).load().keys() == {pack}
        second = EngineRun.of(session, source, run_id="second", strategy="full").run()
        assert asyncio.run(verify_snapshot(session, SnapshotId(second.snapshot), VerifyLevel.FULL)).ok


def test_what_the_source_no_longer_has_stays_marked(tmp_path: Path, source: Path) -> None:
    repository = tmp_path / "repository"
    with new_session(repository) as session:
        EngineRun.of(session, source, run_id="first").run()
        pack, at = pack_of(session, SMALL)
        flip(repository, pack, at)
        assert verify(session, "damaged").lost_count == 2
        (source / "same").unlink()
        (source / "sub" / "small").unlink()
        EngineRun.of(session, source, run_id="second", strategy="full").run()
        again = verify(session, "again")
        assert (again.lost_count, again.mended_packs, len(again.affected_snapshots)) == (2, 0, 1)
        assert DamageMarks(session.repository).load().keys() == {pack}
        for snapshot in (repository / "snapshots").iterdir():
            if SnapshotId(from_hex(snapshot.name)) in again.affected_snapshots:
                snapshot.unlink()
        assert verify(session, "forgotten").mended_packs == 1
    assert "no errors were found" in restic(repository, PASSWORD, "check", "--read-data")


def test_a_missing_pack_of_trees_is_mended_too(tmp_path: Path, source: Path) -> None:
    repository = tmp_path / "repository"
    with new_session(repository) as session:
        result = EngineRun.of(session, source, run_id="first").run()
        packs = entries_of(session.repository, [PackId(pack) for pack in result.packs]).values()
        pack = next(pack.id for pack in packs if pack.blobs[0].type is BlobType.TREE)
        (repository / "data" / pack.hex()[:2] / pack.hex()).unlink()
    with open_session(repository) as session:
        found = verify(session, "damaged")
        assert found.problem_count
        assert {finding.kind for finding in found.problems} >= {ProblemKind.TREE_UNREADABLE}
        EngineRun.of(session, source, run_id="second", strategy="full").run()
        # The first snapshot may not be whole again: it names the times that directories above the source had then.
        (repository / "snapshots" / result.snapshot.hex()).unlink()
        mended = verify(session, "mended")
        assert (mended.problem_count, mended.mended_packs) == (0, 1)
    assert "no errors were found" in restic(repository, PASSWORD, "check", "--read-data")


def test_a_pack_that_another_process_stored_is_found_to_be_damaged(tmp_path: Path, source: Path) -> None:
    repository = tmp_path / "repository"
    with new_session(repository) as session, session.hold():  # its index is from before
        with open_session(repository) as other:
            EngineRun.of(other, source, run_id="first").run()
            flip(repository, *pack_of(other, SMALL))
            plan = plan_verification(opened(other, "verify"), parse_share("all"), now_ns=0, shards_wanted=1)
        assert plan.shards == 1
        assert read_shard(VerifyRun(session=session, run_id="verify"), 0, nothing).damaged


def test_a_damaged_header_costs_nothing(tmp_path: Path, source: Path) -> None:
    repository = tmp_path / "repository"
    with new_session(repository) as session:
        EngineRun.of(session, source, run_id="first").run()
        pack, _ = pack_of(session, SMALL)
        size = (repository / "data" / pack.hex()[:2] / pack.hex()).stat().st_size
        flip(repository, pack, size - 20)
        rescued = verify(session, "damaged")
        assert (rescued.problem_count, rescued.lost_count, rescued.mended_packs) == (0, 0, 1)
        assert pack_of(session, SMALL)[0] != pack
    assert "no errors were found" in restic(repository, PASSWORD, "check", "--read-data")


def test_a_mark_that_cannot_be_read_speaks_of_the_whole_pack(tmp_path: Path, source: Path) -> None:
    repository = tmp_path / "repository"
    with new_session(repository) as session:
        EngineRun.of(session, source, run_id="first").run()
        pack, _ = pack_of(session, SMALL)
        marks = DamageMarks(session.repository)
        marks.put(DamagedPack(pack=pack, blobs=frozenset()))
        mark = repository / "holdfast" / "damaged" / pack.hex()
        mark.chmod(0o600)
        mark.write_bytes(b"x" * 100)
        assert marks.load() == {pack: DamagedPack(pack=pack, whole=True)}
        with session.hold() as held:
            assert not held.index.has(sha256(SMALL), BlobType.DATA)  # type: ignore[arg-type]
            assert held.loader.load(sha256(SMALL), BlobType.DATA) == SMALL  # type: ignore[arg-type]
        assert verify(session, "again").problem_count == 0
        assert marks.load() == {}


def _two_packs_alike(repository: Path, source: Path) -> tuple[list[Path], SnapshotId]:
    """Two packs of one size with one blob each, and the snapshot that needs both."""
    source.mkdir()
    packs = []
    snapshot = b""
    for number in (1, 2):
        content = Random(number).randbytes(100_000)
        (source / str(number)).write_bytes(content)
        with new_session(repository) if number == 1 else open_session(repository) as session:
            snapshot = EngineRun.of(session, source, run_id=str(number)).run().snapshot
            pack, _ = pack_of(session, content)
        packs.append(repository / "data" / pack.hex()[:2] / pack.hex())
    assert packs[0].stat().st_size == packs[1].stat().st_size
    return packs, SnapshotId(snapshot)


def test_packs_of_one_size_under_each_others_names_are_found(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    (one, other), snapshot = _two_packs_alike(repository, tmp_path / "source")
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    with open_session(repository) as session:
        report = asyncio.run(verify_snapshot(session, snapshot, VerifyLevel.FULL))
    damaged = {problem.what for problem in report.problems if problem.kind is ProblemKind.PACK_DAMAGED}
    assert damaged == {one.name, other.name}


def test_a_blob_that_lies_in_two_packs_is_no_damage(tmp_path: Path, source: Path) -> None:
    repository = tmp_path / "repository"
    with new_session(repository) as session:
        first = SnapshotId(EngineRun.of(session, source, run_id="1").run().snapshot)
        index = repository / "index"
        kept = {file: file.read_bytes() for file in index.iterdir()}
        for file in kept:
            file.unlink()
    with open_session(
        repository
    ) as session:  # no index file says that it is there: all of it is stored again
        second = SnapshotId(EngineRun.of(session, source, run_id="2", strategy="full").run().snapshot)
    for file, content in kept.items():
        file.write_bytes(content)
    with open_session(repository) as session:
        reports = [
            asyncio.run(verify_snapshot(session, snapshot, VerifyLevel.FULL)) for snapshot in (first, second)
        ]
        with session.hold() as held:
            checked = list(check_packs(session.repository, held.index, list(held.index.packs())))
    assert [report.problems for report in reports] == [[], []]
    assert len(checked) == len(list((repository / "data").rglob("?" * 64)))
    assert [pack.problem for pack in checked if pack.problem is not None] == []


def test_damage_is_told_only_while_the_lock_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not there may have been removed by a prune that took a lost lock for dead."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").write_bytes(b"content")
    confirmed: list[str] = []
    confirm = HeldRepository.confirm

    def seen(held: HeldRepository) -> None:
        confirmed.append("now")
        confirm(held)

    with new_session(tmp_path / "repository") as session:
        EngineRun.of(session, tmp_path / "source").run()
        pack, at = pack_of(session, b"content")
        monkeypatch.setattr(HeldRepository, "confirm", seen)
        for run_id, found in (("sound", 0), ("damaged", 1)):
            run = opened(session, run_id)
            check_trees(run, nothing)
            assert plan_verification(run, parse_share("all"), now_ns=0).shards == 1
            confirmed.clear()
            result = read_shard(run, 0, nothing)
            assert (len(result.damaged), len(confirmed)) == (found, found)
            flip(tmp_path / "repository", pack, at)
