"""The index is written again from the headers of packs: nothing that packs hold is lost to it."""

import itertools
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.errors import CorruptFileError
from holdfast.format.index import IndexPack, decode_index, encode_index
from holdfast.ids import IndexId, PackId, from_hex
from holdfast.repair.documents import RepairOrder, RepairRun, Report
from holdfast.repair.index import packs_to_read
from holdfast.repair.opening import open_repair
from holdfast.repair.steps import finish_repair, look_at_shard, plan_repair
from holdfast.repository.damage import DamagedPack, DamageMarks
from holdfast.repository.index.files import read_index
from holdfast.repository.layout import INDEX, list_ids
from holdfast.repository.packs.headers import read_header
from holdfast.storage.contract import Storage
from holdfast.terms import RepairKind
from tests.repair.conftest import copied, dies_at, in_memory, on_disk, quick_session
from tests.support.comparison import plant, restic
from tests.support.doubles import SlowStorage
from tests.support.engine import (
    PASSWORD,
    SMALL_PACK_BYTES,
    EngineRun,
    counted_session,
    new_session,
    nothing,
)
from tests.support.repair import repair

INDEX_ORDER = RepairOrder(kind=RepairKind.INDEX)
ALL_PACKS = RepairOrder(kind=RepairKind.INDEX, read_all_packs=True)
Damage = Callable[[Path], None]


class _Stopped(Exception):
    """The attempt ends here."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with many small packs, and three index files."""
    folder = tmp_path_factory.mktemp("template")
    source, path = folder / "source", folder / "repository"
    source.mkdir()
    plant(source, large_bytes=2 << 20)
    with new_session(path) as session:
        session.pack_size_bytes = SMALL_PACK_BYTES
        for number in range(3):
            (source / f"more-{number}").write_bytes(os.urandom(400_000))
            EngineRun.of(session, source, run_id=str(number)).run()
    assert len(index_files(path)) >= 3
    return path


@pytest.fixture
def damaged(template: Path, tmp_path: Path) -> Path:
    return copied(template, tmp_path / "repository")


def index_files(path: Path) -> list[Path]:
    return sorted((path / "index").iterdir())


def packs(path: Path) -> list[Path]:
    return sorted((path / "data").glob("*/*"))


def said(place: Path | Storage) -> dict[PackId, IndexPack]:
    """What all index files say; each pack once."""
    found: dict[PackId, IndexPack] = {}
    with quick_session(place) as session:
        for raw, _ in sorted(list_ids(session.repository.storage, INDEX)):
            for pack in read_index(session.repository, IndexId(raw)):
                assert pack.id not in found
                found[pack.id] = pack.pack
    return found


def run(path: Path, order: RepairOrder = INDEX_ORDER) -> Report:
    with quick_session(path) as session:
        return repair(session, order)


def all_gone(path: Path) -> None:
    for file in index_files(path):
        file.unlink()


def one_gone(path: Path) -> None:
    index_files(path)[1].unlink()


def one_unreadable(path: Path) -> None:
    file = index_files(path)[0]
    file.chmod(0o600)
    file.write_bytes(b"no index")


def twice(path: Path) -> None:
    """What two files say is in a third one too."""
    with quick_session(path) as session:
        both = [
            read_index(session.repository, IndexId(from_hex(file.name))) for file in index_files(path)[:2]
        ]
        session.repository.save_file(INDEX, encode_index([pack for one in both for pack in one]))


def wrong(path: Path) -> None:
    """A file says that its packs hold one blob less, at the end."""
    with quick_session(path) as session:
        file = index_files(path)[0]
        json = session.repository.load_file(INDEX, from_hex(file.name))
        cut = [pack.pack for pack in decode_index(json)]
        cut = [IndexPack(id=pack.id, blobs=pack.blobs[:-1]) for pack in cut]
        session.repository.save_file(INDEX, encode_index([pack.columns for pack in cut]))
        file.unlink()


@pytest.mark.parametrize(
    "damage", [all_gone, one_gone, one_unreadable, twice, wrong], ids=lambda done: done.__name__
)
def test_what_packs_hold_is_in_the_index_again(damaged: Path, damage: Damage) -> None:
    before = said(damaged)
    damage(damaged)
    run(damaged)
    assert said(damaged) == before
    assert "no errors were found" in restic(damaged, PASSWORD, "check", "--read-data")
    again = run(damaged)
    assert (again.packs_read, again.index_files_removed, again.index_files_written) == (0, 0, 0)


def test_two_things_said_of_one_pack_are_settled_by_its_header(damaged: Path) -> None:
    before = said(damaged)
    kept = index_files(damaged)[0].read_bytes()
    name = index_files(damaged)[0].name
    wrong(damaged)
    (damaged / "index" / name).write_bytes(kept)
    assert run(damaged).packs_added > 0
    assert said(damaged) == before


def test_a_sound_index_is_left_alone_without_reading_a_pack(damaged: Path) -> None:
    before = index_files(damaged)
    with counted_session(damaged) as (session, storage):
        report = repair(session, INDEX_ORDER)
    assert storage.calls["get", "data"] == 0
    assert report == Report()
    assert index_files(damaged) == before
    assert run(damaged, ALL_PACKS).packs_read == len(packs(damaged))
    assert "no errors were found" in restic(damaged, PASSWORD, "check", "--read-data")


def test_packs_that_are_not_there_leave_the_index_and_their_marks_go(damaged: Path) -> None:
    gone = [path for path in packs(damaged) if path.stat().st_size > 100_000][:2]
    with quick_session(damaged) as session:
        marks = DamageMarks(session.repository)
        for path in gone:
            path.unlink()
            marks.put(DamagedPack(pack=PackId(from_hex(path.name)), whole=True))
    report = run(damaged)
    assert report.packs_missing == 2
    with quick_session(damaged) as session:
        assert DamageMarks(session.repository).load() == {}
    assert {pack.hex() for pack in said(damaged)} == {path.name for path in packs(damaged)}


def test_a_pack_whose_header_cannot_be_read_keeps_what_the_index_has_of_it(damaged: Path) -> None:
    before = said(damaged)
    path = packs(damaged)[0]
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1)
    report = run(damaged)
    assert (report.packs_read, report.packs_damaged, report.packs_added) == (1, 1, 0)
    assert said(damaged) == before


def test_a_dry_run_says_the_same_and_changes_nothing(damaged: Path) -> None:
    one_gone(damaged)
    one_unreadable(damaged)
    before = index_files(damaged)
    dry = run(damaged, RepairOrder(kind=RepairKind.INDEX, dry_run=True))
    assert index_files(damaged) == before
    done = run(damaged)
    assert (dry.packs_added, dry.index_files_removed) == (done.packs_added, done.index_files_removed)
    assert dry.index_files_written == 0 < done.index_files_written


def test_a_death_at_each_write_loses_nothing(damaged: Path, tmp_path: Path) -> None:
    """Whatever the index said that was right it says still, and the next repair does the rest."""
    before, unharmed = said(damaged), left(damaged)
    twice_left(damaged)
    one_unreadable(damaged)
    place = in_memory(damaged)
    for at in itertools.count():
        place = in_memory(damaged)
        died = dies_at(place, at, done=bool(at % 2), work=lambda session: repair(session, INDEX_ORDER))
        with quick_session(place) as session:
            with session.hold() as held:
                known = {pack.id for pack in held.index.packs()}
            repair(session, INDEX_ORDER)
        assert known >= unharmed
        assert said(place) == before
        if not died:
            break
    assert at > 8
    assert "no errors were found" in restic(
        on_disk(place, tmp_path / "on-disk"), PASSWORD, "check", "--read-data"
    )


def twice_left(path: Path) -> None:
    """Beside a file that cannot be read, one that repeats the others."""
    with quick_session(path) as session:
        rest = [
            read_index(session.repository, IndexId(from_hex(file.name))) for file in index_files(path)[1:]
        ]
        session.repository.save_file(INDEX, encode_index([pack for one in rest for pack in one]))


def left(path: Path) -> set[PackId]:
    """What the files name that stay readable."""
    with quick_session(path) as session:
        files = [IndexId(from_hex(file.name)) for file in index_files(path)[1:]]
        return {pack.id for file in files for pack in read_index(session.repository, file)}


def test_headers_of_any_length_are_read(damaged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = said(damaged)
    for first_bytes in (4, 64, 1 << 20):
        monkeypatch.setattr("holdfast.repository.packs.headers._FIRST_BYTES", first_bytes)
        with quick_session(damaged) as session:
            for pack in before.values():
                assert read_header(session.repository, pack.id, pack.size_bytes) == pack.blobs
                with pytest.raises(CorruptFileError):
                    read_header(session.repository, pack.id, pack.size_bytes - 1)


def test_a_killed_attempt_goes_on_from_its_checkpoint(damaged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Headers that were read before are not read again."""
    monkeypatch.setattr("holdfast.repair.index._AT_ONCE", 2)
    monkeypatch.setattr("holdfast.repair.index._SAVE_S", 0.0)
    all_gone(damaged)

    def stop(done: int, _bytes: int) -> None:
        if done >= 4:
            raise _Stopped

    with quick_session(damaged) as session:
        killed = RepairRun(session=session, run_id="killed")
        open_repair(killed, INDEX_ORDER)
        plan_repair(killed)
        with pytest.raises(_Stopped):
            look_at_shard(killed, 0, stop)
    with counted_session(damaged) as (session, storage):
        resumed = RepairRun(session=session, run_id="killed")
        look_at_shard(resumed, 0, nothing)
        assert storage.calls["get", "data"] == len(packs(damaged)) - 2
        finish_repair(resumed, nothing)
    assert "no errors were found" in restic(damaged, PASSWORD, "check", "--read-data")


def test_headers_are_read_many_at_once_where_requests_take_time(damaged: Path) -> None:
    storage = SlowStorage(in_memory(damaged))
    with quick_session(storage) as session:
        wanted = packs_to_read(session.repository, every=True)
        killed = RepairRun(session=session, run_id="slow")
        open_repair(killed, ALL_PACKS)
        page = plan_repair(killed)
        assert (page.things, page.size_bytes) == (len(wanted), 0)  # none of them is read whole
        storage.most_at_once, storage.latency_s = 0, 0.2
        found = look_at_shard(killed, 0, nothing).found
    assert len(found) == len(wanted)
    assert storage.most_at_once > len(wanted) // 2


def test_index_files_are_read_ahead_where_requests_take_time(damaged: Path) -> None:
    """Also under the exclusive lock: nobody else works while that is held."""
    one_unreadable(damaged)
    storage = SlowStorage(in_memory(damaged))
    with quick_session(storage) as session:
        slow = RepairRun(session=session, run_id="slow")
        open_repair(slow, INDEX_ORDER)
        plan_repair(slow)
        look_at_shard(slow, 0, nothing)
        storage.most_at_once, storage.latency_s = 0, 0.1
        assert finish_repair(slow, nothing).index_files_removed == 1
    assert storage.most_at_once >= 3
