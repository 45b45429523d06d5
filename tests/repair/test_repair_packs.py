"""What is sound in damaged packs is saved before they go; what is lost is counted."""

import itertools
from pathlib import Path
from random import Random

import pytest

from holdfast.errors import UsageError
from holdfast.format.index import BlobType
from holdfast.ids import BlobId, PackId, sha256
from holdfast.repair.documents import RepairOrder, Report
from holdfast.repository.damage import DamageMarks
from holdfast.repository.session import RepositorySession
from holdfast.storage.contract import Storage
from holdfast.terms import RepairKind
from tests.repair.conftest import dies_at, in_memory, quick_session
from tests.support.comparison import restic
from tests.support.engine import PASSWORD, EngineRun, new_session
from tests.support.repair import repair
from tests.support.verification import verify
from tests.verify.test_damage import flip, pack_of

PACKS = RepairOrder(kind=RepairKind.PACKS)
CONTENTS = [Random(number).randbytes(20_000) for number in range(8)]


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A pack with the contents of eight files, of which one is damaged."""
    source, path = tmp_path / "source", tmp_path / "repository"
    source.mkdir()
    for number, content in enumerate(CONTENTS):
        (source / str(number)).write_bytes(content)
    with new_session(path) as session:
        EngineRun.of(session, source, run_id="1").run()
        pack, at = pack_of(session, CONTENTS[3])
        flip(path, pack, at)
    return path


def run(place: Path | Storage, order: RepairOrder = PACKS) -> Report:
    with quick_session(place) as session:
        return repair(session, order)


def readable(place: Path | Storage) -> list[bool]:
    """Which of the contents can be read."""
    with quick_session(place) as session, session.hold() as held:
        return [
            (blob := BlobId(sha256(content))) in held.index
            and held.index.has(blob, BlobType.DATA)
            and held.loader.load(blob, BlobType.DATA) == content
            for content in CONTENTS
        ]


def damaged_pack(path: Path) -> PackId:
    with quick_session(path) as session:
        return pack_of(session, CONTENTS[3])[0]


def test_what_is_sound_is_saved_and_what_is_not_is_counted(damaged: Path) -> None:
    pack = damaged_pack(damaged)
    report = run(damaged, RepairOrder(kind=RepairKind.PACKS, packs=(pack.hex(),)))
    assert (report.packs_read, report.packs_removed, report.blobs_lost) == (1, 1, 1)
    assert readable(damaged) == [number != 3 for number in range(8)]
    assert not (damaged / "data" / pack.hex()[:2] / pack.hex()).exists()
    with quick_session(damaged) as session:
        assert DamageMarks(session.repository).load() == {}


def test_without_names_it_takes_what_is_marked_or_seen_to_be_damaged(damaged: Path) -> None:
    """A flipped bit is seen when a verification has marked it; a pack that is cut off, or gone, by its size."""
    assert run(damaged).packs_read == 0
    with quick_session(damaged) as session:
        assert verify(session).damaged_packs == 1
    dry = run(damaged, RepairOrder(kind=RepairKind.PACKS, dry_run=True))
    assert (dry.packs_removed, dry.blobs_lost) == (1, 1)
    assert run(damaged).packs_removed == 1
    assert readable(damaged) == [number != 3 for number in range(8)]
    with quick_session(damaged) as session:
        pack, _ = pack_of(session, CONTENTS[5])
    path = damaged / "data" / pack.hex()[:2] / pack.hex()
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    report = run(damaged)
    assert report.packs_removed == 1
    assert 0 < report.blobs_lost < 7
    assert sum(readable(damaged)) == 7 - report.blobs_lost


def test_a_sound_pack_stays_also_if_it_is_named(damaged: Path) -> None:
    with quick_session(damaged) as session:
        flip(damaged, *pack_of(session, CONTENTS[3]))  # back again
        pack, _ = pack_of(session, CONTENTS[3])
    report = run(damaged, RepairOrder(kind=RepairKind.PACKS, packs=(pack.hex(),)))
    assert (report.packs_read, report.packs_removed) == (1, 0)
    assert all(readable(damaged))


def test_a_copy_that_cannot_be_read_does_not_count(damaged: Path, tmp_path: Path) -> None:
    """Both packs have a bad blob, each another one: together they have everything."""
    with quick_session(damaged) as session:
        assert verify(session, "marks").damaged_packs == 1
        EngineRun.of(session, tmp_path / "source", run_id="2", strategy="full").run()
    with quick_session(damaged) as session, session.hold() as held:
        location = held.index.lookup(BlobId(sha256(CONTENTS[3])), BlobType.DATA)
        assert location is not None
    flip(damaged, location.pack, location.entry.offset + 20)
    report = run(damaged, RepairOrder(kind=RepairKind.PACKS, packs=(location.pack.hex(),)))
    assert report.blobs_lost == 1
    assert readable(damaged) == [number != 3 for number in range(8)]


def test_names_that_are_none_are_refused(damaged: Path) -> None:
    with pytest.raises(UsageError, match="not the id of a pack"):
        run(damaged, RepairOrder(kind=RepairKind.PACKS, packs=("abc",)))
    with pytest.raises(UsageError, match="no index file names the pack"):
        run(damaged, RepairOrder(kind=RepairKind.PACKS, packs=("ab" * 32,)))


def test_a_death_at_each_write_loses_nothing_that_was_sound(damaged: Path) -> None:
    order = RepairOrder(kind=RepairKind.PACKS, packs=(damaged_pack(damaged).hex(),))
    expected = [number != 3 for number in range(8)]

    def work(session: RepositorySession) -> None:
        repair(session, order)

    for at in itertools.count():
        place = in_memory(damaged)
        died = dies_at(place, at, done=bool(at % 2), work=work)
        assert readable_or_marked(place) == expected
        if died:
            with quick_session(place) as session:
                verify(session, "look")
        run(place)
        assert readable(place) == expected
        if not died:
            break
    assert at > 8


def readable_or_marked(place: Path | Storage) -> list[bool]:
    """Which can be read, from a pack that is marked as well."""
    with quick_session(place) as session, session.hold() as held:
        found = []
        for number, content in enumerate(CONTENTS):
            blob = BlobId(sha256(content))
            found.append(number != 3 and held.loader.load(blob, BlobType.DATA) == content)
        return found


def test_restic_finds_nothing_wrong_with_what_is_left(damaged: Path, tmp_path: Path) -> None:
    """A full backup stores again what was lost."""
    with quick_session(damaged) as session:
        verify(session)
    run(damaged)
    with quick_session(damaged) as session:
        EngineRun.of(session, tmp_path / "source", run_id="2", strategy="full").run()
    assert all(readable(damaged))
    assert "no errors were found" in restic(damaged, PASSWORD, "check", "--read-data")
