"""One index file that cannot be read: what the others hold is used, the rest counts as not there, and nothing goes."""

from pathlib import Path
from random import Random

import pytest

from holdfast.errors import CorruptFileError
from holdfast.format.index import BlobType
from holdfast.ids import BlobId, PackId, sha256, to_hex
from holdfast.repository.damage import DamagedPack, DamageMarks
from holdfast.repository.index.rewrite import remove_packs
from holdfast.verify.mend import mend
from holdfast.verify.report import ProblemKind
from tests.support.comparison import restic
from tests.support.engine import PASSWORD, EngineRun, nothing, open_session
from tests.support.engine import new_session as new
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
    """Then the snapshot needs nothing of the file: it is whole without it."""
    with open_session(broken.path) as session:
        snapshot = EngineRun.of(session, broken.source, run_id="third").run().snapshot
    for file in broken.files:
        file.unlink()
    restic(broken.path, PASSWORD, "forget", "--prune", "--keep-last", "1", "--group-by", "")
    assert "no errors were found" in restic(broken.path, PASSWORD, "check", "--read-data")
    assert restic(broken.path, PASSWORD, "list", "snapshots").split() == [to_hex(snapshot)]
    with open_session(broken.path) as session:
        assert verify(session, "pruned").problem_count == 0


def test_a_file_that_can_be_read_again_is(broken: Broken) -> None:
    with open_session(broken.path) as session, session.hold() as held:
        assert [file.name for file in sorted(broken.files)] == [to_hex(i) for i in held.unreadable_index]
        broken.heal()
        held.refresh()
        assert held.unreadable_index == []
        assert held.index.has(BlobId(sha256(FIRST)), BlobType.DATA)
        assert verify(session, "healed").problem_count == 0


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
