"""One index file that cannot be read: what the others hold is used, the rest counts as not there, and nothing goes."""

import asyncio
from pathlib import Path
from random import Random

import pytest

from holdfast.errors import CorruptFileError, StorageUnavailableError
from holdfast.format.index import BlobType
from holdfast.ids import BlobId, IndexId, PackId, SnapshotId, sha256, to_hex
from holdfast.repository.damage import DamagedPack, DamageMarks
from holdfast.repository.index.files import IndexLoader
from holdfast.repository.index.rewrite import remove_packs
from holdfast.repository.layout import CONFIG, INDEX
from holdfast.repository.repository import Repository
from holdfast.storage.contract import Storage
from holdfast.storage.layers.layer import Layer
from holdfast.storage.local import LocalStorage
from holdfast.terms import VerifyLevel
from holdfast.verify.mend import mend
from holdfast.verify.report import ProblemKind
from holdfast.verify.snapshot import verify_snapshot
from tests.support.comparison import restic
from tests.support.engine import PASSWORD, EngineRun, nothing, open_session
from tests.support.engine import new_session as new
from tests.support.restore import restore
from tests.support.verification import verify

FIRST, SECOND = (Random(seed).randbytes(100_000) for seed in (1, 2))


class Broken:
    """A repository with two snapshots, of which the first one's index file was damaged. sound: what it held before."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "repository"
        self.source = folder / "source"
        self.source.mkdir()
        (self.source / "first").write_bytes(FIRST)
        with new(self.path) as session:
            EngineRun.of(session, self.source, run_id="first").run()
            self.files = list((self.path / "index").iterdir())
            with session.hold() as held:
                self.first_packs = {pack.id for pack in held.index.packs()}
            (self.source / "first").rename(folder / "first")
            (self.source / "second").write_bytes(SECOND)
            EngineRun.of(session, self.source, run_id="second").run()
        self.sound = {file: file.read_bytes() for file in self.files}
        for file, sound in self.sound.items():
            file.chmod(0o600)
            file.write_bytes(bytes([sound[0] ^ 1]) + sound[1:])
        (folder / "first").rename(self.source / "first")

    def heal(self) -> None:
        for file, sound in self.sound.items():
            file.write_bytes(sound)


@pytest.fixture
def broken(tmp_path: Path) -> Broken:
    return Broken(tmp_path)


def test_a_verification_reports_it_and_goes_on_with_the_others(broken: Broken) -> None:
    with open_session(broken.path) as session:
        report = verify(session, "broken")
        kinds = [finding.kind for finding in report.problems]
        unreadable = [f.what for f in report.problems if f.kind == ProblemKind.INDEX_UNREADABLE]
        assert sorted(unreadable) == sorted(file.name for file in broken.files)
        assert ProblemKind.BLOB_MISSING.value in kinds
        with session.hold() as held:
            assert held.index.has(BlobId(sha256(SECOND)), BlobType.DATA)
            assert not held.index.has(BlobId(sha256(FIRST)), BlobType.DATA)


def test_a_backup_stores_again_what_only_that_file_names(broken: Broken) -> None:
    """Then the snapshot needs nothing of the file: it is whole without it. Its own verification tells of the file."""
    with open_session(broken.path) as session:
        snapshot = EngineRun.of(session, broken.source, run_id="third").run().snapshot
        own = asyncio.run(verify_snapshot(session, SnapshotId(snapshot), VerifyLevel.STRUCTURE))
        assert {(problem.kind, problem.what) for problem in own.problems} == {
            (ProblemKind.INDEX_UNREADABLE, file.name) for file in broken.files
        }
    for file in broken.files:
        file.unlink()
    restic(broken.path, PASSWORD, "forget", "--prune", "--keep-last", "1", "--group-by", "")
    assert "no errors were found" in restic(broken.path, PASSWORD, "check", "--read-data")
    assert restic(broken.path, PASSWORD, "list", "snapshots").split() == [to_hex(snapshot)]
    with open_session(broken.path) as session:
        assert verify(session, "pruned").problem_count == 0


def test_a_restore_goes_on_with_the_others(broken: Broken, tmp_path: Path) -> None:
    with open_session(broken.path) as session:
        restored = restore(session, tmp_path / "target", snapshot=f"latest:{broken.source}")
        assert not restored.finished.errors_of_run
    assert [path.read_bytes() for path in (tmp_path / "target").iterdir()] == [SECOND]


class BadSectors(Layer):
    """A disk that cannot read files whose names begin like this."""

    def __init__(self, below: Storage, *names: str) -> None:
        super().__init__(below)
        self.names = names

    def get(self, name: str, *, limit_bytes: int) -> bytes:
        if name.startswith(self.names):
            raise StorageUnavailableError("input/output error", medium_failed=True)
        return self.below.get(name, limit_bytes=limit_bytes)


def test_a_bad_sector_is_no_other_damage_unless_the_disk_reads_nothing(broken: Broken) -> None:
    broken.heal()
    names = [f"{INDEX}/{file.name}" for file in broken.files]
    disk = BadSectors(LocalStorage(broken.path))
    repository = Repository.open(disk, PASSWORD)
    disk.names = (*names,)
    loader = IndexLoader(repository)
    loader.refresh()
    assert sorted(map(to_hex, loader.unreadable)) == sorted(file.name for file in broken.files)
    assert loader.index.has(BlobId(sha256(SECOND)), BlobType.DATA)
    disk.names = (*names, CONFIG)
    with pytest.raises(StorageUnavailableError):
        loader.refresh()
    assert len(loader.unreadable) == len(broken.files)


def test_a_file_that_can_be_read_again_is(broken: Broken) -> None:
    with open_session(broken.path) as session, session.hold() as held:
        assert [file.name for file in sorted(broken.files)] == [to_hex(i) for i in held.unreadable_index]
        broken.heal()
        held.refresh()
        assert held.unreadable_index == []
        assert held.index.has(BlobId(sha256(FIRST)), BlobType.DATA)
        assert verify(session, "healed").problem_count == 0


class Watching(Layer):
    """Notes what an index loader calls unreadable while it reads index files."""

    def __init__(self, below: Storage) -> None:
        super().__init__(below)
        self.loader: IndexLoader | None = None
        self.seen: list[set[IndexId]] = []

    def get(self, name: str, *, limit_bytes: int) -> bytes:
        if self.loader is not None and name.startswith(INDEX):
            self.seen.append(set(self.loader.unreadable))
        return self.below.get(name, limit_bytes=limit_bytes)


def test_a_file_that_is_tried_again_counts_as_unreadable_until_it_was_read(broken: Broken) -> None:
    """Another run of the same process may ask just then, and would take marks away that it needs."""
    storage = Watching(LocalStorage(broken.path))
    storage.loader = loader = IndexLoader(Repository.open(storage, PASSWORD))
    loader.refresh()
    bad = set(loader.unreadable)
    assert len(bad) == len(broken.files)
    storage.seen.clear()
    loader.refresh()
    assert storage.seen == [bad] * len(bad)
    broken.heal()
    loader.refresh()
    assert not loader.unreadable


def test_nothing_is_removed_while_a_file_cannot_be_read(broken: Broken) -> None:
    """What it names may be needed, and a mark on a pack that only it names stays."""
    with open_session(broken.path) as session:
        repository = session.repository
        marks = DamageMarks(repository)
        for pack in broken.first_packs:
            marks.put(DamagedPack(pack=pack, whole=True))
        verify(session, "broken")
        assert marks.load().keys() == broken.first_packs
        with session.hold() as held:
            second = {pack.id for pack in held.index.packs()}
    with open_session(broken.path) as session:
        before = sorted((broken.path / "data").rglob("?" * 64))
        with pytest.raises(CorruptFileError):
            mend(session, second)
        with pytest.raises(CorruptFileError):
            remove_packs(session.repository, [PackId(sha256(b"none"))], nothing)
        assert sorted((broken.path / "data").rglob("?" * 64)) == before
