"""Runs and marks in a companion: beside a storage that takes no names but restic's, and when the settings change."""

import contextlib
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from holdfast.backup.opening import open_backup
from holdfast.crypto.kdf import ScryptParameters
from holdfast.errors import RunClosedError, StorageDeniedError, StorageUnavailableError, UsageError
from holdfast.ids import PackId, sha256
from holdfast.repository.companion import join_companion
from holdfast.repository.damage import DamagedPack, DamageMarks
from holdfast.repository.layout import LOCKS
from holdfast.repository.repository import Repository
from holdfast.repository.session import RepositorySession
from holdfast.restore.request import RestoreOptions
from holdfast.runs.janitor import old_runs, remove_old_runs
from holdfast.runs.opening import close_run
from holdfast.storage.contract import Storage, Traits
from holdfast.storage.layers.layer import Layer
from holdfast.storage.layers.read_only import ReadOnly
from holdfast.storage.local import LocalStorage
from tests.support.comparison import restic, same
from tests.support.doubles import DyingStorage, Killed, ResticOnlyStorage
from tests.support.engine import PASSWORD, SMALL, SMALL_PACK_BYTES, EngineRun
from tests.support.memory_storage import MemoryStorage
from tests.support.restore import EngineRestore, restore_in_place
from tests.support.verification import verify
from tests.verify.test_damage import flip

CONTENT = Random(3).randbytes(200_000)


class Place:
    """A source, a repository and folders for companions."""

    def __init__(self, folder: Path) -> None:
        self.source, self.path = folder / "source", folder / "repository"
        self.state, self.companion, self.other = folder / "state", folder / "companion", folder / "other"
        (self.source / "sub").mkdir(parents=True)
        (self.source / "sub" / "small").write_bytes(b"the content of a small file")
        (self.source / "other").write_bytes(CONTENT)
        (self.source / "large").write_bytes(Random(4).randbytes(2_500_000))
        Repository.init(LocalStorage(self.path), PASSWORD, kdf=ScryptParameters.for_tests())

    def session(self, companion: Path | None, storage: Storage | None = None) -> RepositorySession:
        """As another process opens it. companion: None for the repository's own storage."""
        repository = Repository.open(storage or LocalStorage(self.path), PASSWORD)
        join_companion(repository, "" if companion is None else str(companion), self.state)
        only_read = isinstance(storage, ReadOnly)
        return RepositorySession(
            repository, sizes=SMALL, pack_size_bytes=SMALL_PACK_BYTES, locked=not only_read
        )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_storage_of_restics_names_only_has_its_companion_in_the_state_directory(place: Place) -> None:
    session = place.session(None, ResticOnlyStorage(LocalStorage(place.path)))
    EngineRun.of(session, place.source).open()
    session.close()
    assert len(old_runs(session.repository, older_than_s=-60)) == 1
    assert list(place.state.rglob("opening")) != []
    assert not (place.path / "holdfast").exists()


@pytest.mark.parametrize("at", [0, 3, 6, 9])
def test_a_backup_is_killed_and_goes_on_beside_a_storage_of_restics_names_only(place: Place, at: int) -> None:
    """Killed at a write of the repository's storage; what it had decided stands in the companion."""
    dying = DyingStorage(ResticOnlyStorage(LocalStorage(place.path)), at, done=False)
    run = EngineRun.of(place.session(place.companion, dying), place.source)
    with pytest.raises((Killed, StorageUnavailableError)):
        run.run()
    assert dying.dead
    for lock in (place.path / "locks").iterdir():
        lock.unlink()
    session = place.session(place.companion, ResticOnlyStorage(LocalStorage(place.path)))
    EngineRun.of(session, place.source).run()
    assert verify(session, "after").problem_count == 0
    target = place.path.parent / "target"
    options = RestoreOptions(snapshot=f"latest:{place.source}", target=bytes(target))
    assert not EngineRestore(session, options).run().finished.errors_of_run
    assert same(place.source, target)
    session.close()
    assert not (place.path / "holdfast").exists()
    assert list((place.companion / session.repository.id).rglob("opening")) == []
    assert "no errors were found" in restic(place.path, PASSWORD, "check", "--read-data")


def test_damage_is_marked_in_the_companion_and_mended(place: Place) -> None:
    session = place.session(place.companion, ResticOnlyStorage(LocalStorage(place.path)))
    EngineRun.of(session, place.source, run_id="first").run()
    with session.hold() as held:
        pack = max(held.index.packs(), key=lambda info: info.size_bytes).id
    flip(place.path, pack, 100)
    assert verify(session, "damaged").damaged_packs == 1
    marks = place.companion / session.repository.id / "holdfast" / "damaged"
    assert [mark.name for mark in marks.iterdir()] == [pack.hex()]
    EngineRun.of(session, place.source, run_id="second", strategy="full").run()
    assert verify(session, "mended").mended_packs == 1
    session.close()
    assert list(marks.iterdir()) == []
    assert "no errors were found" in restic(place.path, PASSWORD, "check", "--read-data")


@pytest.mark.parametrize(
    ("before", "after"), [("none", "companion"), ("companion", "none"), ("other", "companion")]
)
def test_a_run_that_was_begun_with_another_companion_says_so(place: Place, before: str, after: str) -> None:
    """And goes on when it is set back: nothing was lost, and nothing is done in vain."""
    folders = {"none": None, "companion": place.companion, "other": place.other}
    session = place.session(folders[before])
    run = EngineRun.of(session, place.source)
    run.open()
    pages = run.select()
    session.close()

    changed = place.session(folders[after])
    moved = EngineRun.of(changed, place.source)
    with pytest.raises(UsageError, match="another companion"):
        moved.open()
    with pytest.raises(UsageError, match="another companion"):
        moved.store(0)
    EngineRun.of(changed, place.source, run_id="another").run()
    changed.close()

    session = place.session(folders[before])
    run = EngineRun.of(session, place.source)
    assert run.open().resumed
    assert run.select() == pages
    run.run()
    session.close()
    assert [path for path in (place.path / "holdfast").rglob("*") if path.is_file()] == []


def test_where_no_pointer_can_be_a_run_with_another_companion_is_over_and_begins_again(place: Place) -> None:
    def opened(companion: Path) -> RepositorySession:
        return place.session(companion, ResticOnlyStorage(LocalStorage(place.path)))

    session = opened(place.companion)
    run = EngineRun.of(session, place.source)
    run.open()
    run.select()
    session.close()
    session = opened(place.other)
    run = EngineRun.of(session, place.source)
    with pytest.raises(RunClosedError):
        run.store(0)
    assert not run.open().resumed
    run.run()
    session.close()
    assert "no errors were found" in restic(place.path, PASSWORD, "check", "--read-data")


def test_marks_that_were_made_before_the_companion_was_named_count(place: Place) -> None:
    pack = DamagedPack(pack=PackId(sha256(b"pack")), whole=True)
    DamageMarks(place.session(None).repository).put(pack)
    marks = DamageMarks(place.session(place.companion).repository)
    assert marks.load() == {pack.pack: pack}
    other = DamagedPack(pack=PackId(sha256(b"other")), whole=True)
    marks.put(other)
    assert {PackId(raw) for raw, _ in marks.seen()} == marks.load().keys() == {pack.pack, other.pack}
    marks.remove(pack.pack)
    marks.remove(other.pack)
    assert marks.load() == {}


def test_what_is_only_read_keeps_its_own_in_the_state_directory(place: Place) -> None:
    session = place.session(None)
    EngineRun.of(session, place.source).run()
    with session.hold() as held:
        pack = max(held.index.packs(), key=lambda info: info.size_bytes).id
    earlier = DamagedPack(pack=PackId(sha256(b"earlier")), whole=True)
    DamageMarks(session.repository).put(earlier)
    session.close()
    flip(place.path, pack, 100)
    before = {path: path.stat().st_mtime_ns for path in place.path.rglob("*")}

    session = place.session(None, ReadOnly(LocalStorage(place.path)))
    assert verify(session, "damaged").damaged_packs == 1
    assert DamageMarks(session.repository).load().keys() == {pack, earlier.pack}
    with pytest.raises(StorageDeniedError):
        session.repository.save_file("snapshots", b"{}")
    session.close()
    assert {path: path.stat().st_mtime_ns for path in place.path.rglob("*")} == before
    assert [mark.name for mark in place.state.rglob("damaged/*")] == [pack.hex()]


def test_the_janitor_cleans_the_companion(place: Place) -> None:
    session = place.session(place.companion)
    run = EngineRun.of(session, place.source)
    run.open()
    session.close()
    repository = session.repository
    assert [old.run_id for old in old_runs(repository, older_than_s=-60)] == ["run"]
    remove_old_runs(repository, older_than_s=-60, is_open=lambda _: False)
    assert old_runs(repository, older_than_s=-60) == []
    for folder in (place.companion, place.path / "holdfast"):
        assert [path for path in folder.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("where", ["own", "companion"])
def test_killed_at_each_write_a_run_leaves_nothing_that_the_janitor_does_not_find(
    place: Place, where: str, *, done: bool
) -> None:
    """Opened and closed; killed at a write to one of the two storages."""
    kills = 0
    while True:
        storages: dict[str, Storage] = {"own": MemoryStorage(), "companion": MemoryStorage()}
        Repository.init(storages["own"], PASSWORD, kdf=ScryptParameters.for_tests())
        dying = DyingStorage(storages[where], kills, done=done)
        killed = opened_at(storages | {where: dying})
        with contextlib.suppress(Killed):
            run = EngineRun.of(RepositorySession(killed), place.source)
            run.open()
            close_run(run.backup.workspace)
        if not dying.dead:
            break
        kills += 1
        storages["own"].delete_folder(LOCKS)  # as the next one does, which finds its process dead
        remove_old_runs(opened_at(storages), older_than_s=-60, is_open=lambda _: False)
        for storage in storages.values():
            assert [*storage.list("holdfast")] == [], kills
    assert kills >= 3


def opened_at(storages: dict[str, Storage]) -> Repository:
    """A repository with its companion beside it."""
    repository = Repository.open(storages["own"], PASSWORD)
    repository.companion = storages["companion"]
    return repository


def test_repositories_share_a_place(tmp_path: Path) -> None:
    """Neither sees what the other has there."""
    places = [Place(tmp_path / name) for name in ("one", "two")]
    sessions = [place.session(tmp_path / "companion") for place in places]
    for place, session in zip(places, sessions, strict=True):
        EngineRun.of(session, place.source).open()
        session.close()
    for session in sessions:
        assert len(old_runs(session.repository, older_than_s=-60)) == 1


def test_no_backup_takes_in_the_companion(place: Place) -> None:
    """Nor the repository: both may lie below a source."""
    everything = place.path.parent
    session = place.session(place.companion)
    for number in range(2):  # the first one makes the companion
        EngineRun.of(session, everything, run_id=f"run-{number}").run()
    session.close()
    listed = restic(place.path, PASSWORD, "ls", "latest").splitlines()
    assert f"{place.source}/other" in listed
    below = (f"{place.path}/", f"{place.companion}/{session.repository.id}/")
    assert [path for path in listed if path.startswith(below)] == []


@pytest.mark.parametrize("companion", ["companion", "sub/deep"])
def test_no_restore_deletes_the_companion(place: Place, companion: str) -> None:
    """It came after the snapshot, into what is restored; the restore's own documents lie in it."""
    session = place.session(None)
    EngineRun.of(session, place.source).run()
    session.close()
    (place.source / "late").write_bytes(b"late")
    session = place.session(place.source / companion)
    mark = DamagedPack(pack=PackId(sha256(b"pack")), whole=True)
    DamageMarks(session.repository).put(mark)
    restored = restore_in_place(session, f"latest:{place.source}", delete=True)
    assert not restored.finished.errors_of_run
    assert not (place.source / "late").exists()
    assert DamageMarks(session.repository).load() == {mark.pack: mark}
    session.close()


class Far(Layer):
    """The same storage at a distance."""

    @property
    def traits(self) -> Traits:
        return replace(self.below.traits, latency_s=0.01, directory=None)


def far_session(place: Place, *, own_server: bool, companion: str = "") -> RepositorySession:
    repository = Repository.open(Far(LocalStorage(place.path)), PASSWORD)
    join_companion(repository, companion, place.state, own_server=own_server)
    return RepositorySession(repository, sizes=SMALL, pack_size_bytes=SMALL_PACK_BYTES)


def test_at_a_distance_documents_of_runs_lie_where_the_servers_database_does(place: Place) -> None:
    session = far_session(place, own_server=True)
    run = EngineRun.of(session, place.source)
    run.open()
    assert not (place.path / "holdfast").exists()
    assert len(old_runs(session.repository, older_than_s=-60)) == 1
    run.run()
    with session.hold() as held:
        pack = next(held.index.packs()).id
    DamageMarks(session.repository).put(DamagedPack(pack=pack, whole=True))
    session.close()
    assert [path.name for path in (place.path / "holdfast" / "damaged").iterdir()] == [pack.hex()]
    assert [path for path in place.state.rglob("*") if path.is_file()] == []


def test_with_a_server_of_several_hosts_or_a_companion_documents_lie_there(place: Place) -> None:
    for companion, folder in (("", place.path), (str(place.companion), place.companion)):
        session = far_session(place, own_server=bool(companion), companion=companion)
        EngineRun.of(session, place.source, run_id=companion or "run").open()
        session.close()
        assert [*folder.rglob("opening")] != []
    assert not place.state.exists()


def test_a_run_whose_server_was_another_says_so(place: Place) -> None:
    """Its documents are in the repository, and none on this host. A new run is not looked for there."""
    session = far_session(place, own_server=False)
    EngineRun.of(session, place.source).open()
    session.close()
    session = far_session(place, own_server=True)
    run = EngineRun.of(session, place.source)
    with pytest.raises(UsageError, match="another companion"):
        run.open()
    assert not open_backup(run.backup, run.order, is_new=True).resumed
    session.close()


def test_no_backup_takes_in_documents_that_lie_on_this_host(place: Place) -> None:
    session = far_session(place, own_server=True)
    run = EngineRun.of(session, place.path.parent)
    run.open()
    names = {
        file.name
        for page in run.select()
        for shard in range(page.shards)
        for file in run.backup.plan.shard(shard).files
    }
    session.close()
    assert b"large" in names
    assert b"opening" not in names
