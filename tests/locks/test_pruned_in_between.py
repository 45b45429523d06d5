"""A backup is frozen before a write, while another client removes its lock, forgets and prunes with restic, and goes.

The freeze is in the gap that no check can close: after all checks, right before the write itself. For each write of a
run: what is acknowledged in the end is whole, and nothing stands in the index that is not there.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.errors import LockLostError, TemporaryError
from holdfast.format.index import BlobType
from holdfast.ids import PackId, from_hex
from holdfast.repository.condemned import condemn
from holdfast.repository.index.files import IndexLoader
from holdfast.repository.index.rewrite import entries_of
from holdfast.repository.layout import DATA, INDEX, LOCKS, SNAPSHOTS, pack_name
from holdfast.repository.repository import Repository
from holdfast.repository.session import RepositorySession
from holdfast.storage.contract import Content
from holdfast.storage.layers.layer import Layer
from holdfast.storage.local import LocalStorage
from tests.locks.pruned import forget_and_prune
from tests.support.comparison import plant, restic
from tests.support.engine import PASSWORD, EngineRun, new_session, nothing, open_session
from tests.support.engine_process import restore
from tests.support.verification import verify

_ATTEMPTS = 12


class Freezing(Layer):
    """Freezes before one write: there `meanwhile` happens. Names of locks do not count."""

    def __init__(self, path: Path, meanwhile: Callable[[], None], *, at: int = -1, folder: str = "") -> None:
        super().__init__(LocalStorage(path))
        self.writes = 0
        self.frozen = False
        self._meanwhile = meanwhile
        self._at = at
        self._folder = folder

    def put(self, name: str, data: Content) -> None:
        self._write(name)
        super().put(name, data)

    def put_new(self, name: str, data: Content) -> bool:
        self._write(name)
        return super().put_new(name, data)

    def _write(self, name: str) -> None:
        if name.startswith(LOCKS):
            return
        number, self.writes = self.writes, self.writes + 1
        if not self.frozen and (number == self._at or (self._folder and name.startswith(self._folder))):
            self.frozen = True
            self._meanwhile()


class KilledError(BaseException):
    """Where a process that was killed would not have gone on."""


class Killed(Freezing):
    """Freezes before the first write to a folder, and is killed right after it: the look that follows is not made."""

    def put(self, name: str, data: Content) -> None:
        was_frozen = self.frozen
        super().put(name, data)
        if self.frozen and not was_frozen:
            raise KilledError


class Place:
    """A source, and a repository that has an earlier snapshot of most of it."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "source"
        self.source.mkdir()
        plant(self.source, files=6, large_bytes=100_000)
        self.repository = folder / "repository"
        with new_session(self.repository) as session:
            EngineRun.of(session, self.source, run_id="earlier").run()
        for number in range(3):
            (self.source / f"new-{number}").write_bytes(b"%d" % number * 3_000)
        self.earlier = [path.name for path in (self.repository / SNAPSHOTS).iterdir()]

    def prune(self) -> None:
        """What a person does who thinks that we are dead."""
        forget_and_prune(self.repository, self.earlier)

    def kill(self, folder: str) -> None:
        """A run that is killed right after its first write to a folder, with a prune right before it."""
        with pytest.raises(KilledError):
            self.backup(Killed(self.repository, self.prune, folder=folder))

    def missing_packs(self) -> list[PackId]:
        """Those of the index whose files are not there."""
        with open_session(self.repository) as session, session.hold() as held:
            return held.missing_packs([pack.id for pack in held.index.packs()])

    def verify(self) -> None:
        """The structure, as by `holdfast verify`: nothing that anything needs is missing."""
        with open_session(self.repository) as session:
            report = verify(session, "verification", share="none")
        assert report.problem_count == 0

    def backup(self, storage: Layer, run_id: str = "later") -> int:
        """A run as the workflow drives it: what fails for a time is done again. How often that was."""
        session = RepositorySession(Repository.open(storage, PASSWORD))
        run = EngineRun.of(session, self.source, run_id=run_id)
        failures = 0
        try:
            for _ in range(_ATTEMPTS):
                try:
                    assert run.open().finished is None
                    pages = run.select()
                    for shard in range(sum(page.shards for page in pages)):
                        run.store(shard)
                    outcome = run.commit(pages)
                except TemporaryError:
                    failures += 1
                    continue
                if outcome.result is not None:
                    assert not outcome.result.partial
                    return failures
                if outcome.rescan:
                    run.backup = run.backup.of_generation(run.backup.generation + 1)
            raise AssertionError("the run does not come to its end")
        finally:
            session.close()

    def assert_whole(self, folder: Path) -> None:
        """Restic finds nothing wrong, and restores what the source holds; every pack of the index is there."""
        assert "no errors were found" in restic(self.repository, PASSWORD, "check", "--read-data")
        restic(self.repository, PASSWORD, "restore", "latest", "--target", str(folder / "restored"))
        for path in self.source.rglob("*"):
            copy = folder / "restored" / path.relative_to("/")
            if path.is_file() and not path.is_symlink():
                assert copy.read_bytes() == path.read_bytes()
        with open_session(self.repository) as session:
            for pack in IndexLoader.loaded(session.repository).index.packs():
                assert (self.repository / pack_name(pack.id)).exists()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize("folder", [DATA, INDEX, SNAPSHOTS])
def test_before_what_others_will_believe(place: Place, tmp_path: Path, folder: str) -> None:
    storage = Freezing(place.repository, place.prune, folder=folder)
    failures = place.backup(storage)
    assert storage.frozen
    assert failures >= 1  # it was noticed
    place.assert_whole(tmp_path)


@pytest.mark.parametrize("verified_first", [True, False])
def test_killed_before_the_look_after_an_index_file(
    place: Place, tmp_path: Path, *, verified_first: bool
) -> None:
    """The entry that lies is found by the next run that would use it, and goes with the next verification."""
    place.kill(INDEX)
    assert place.missing_packs()
    if verified_first:
        place.verify()
        assert not place.missing_packs()
    place.backup(Freezing(place.repository, nothing), run_id="another")
    place.verify()
    place.assert_whole(tmp_path)


def test_killed_before_the_look_after_a_snapshot(place: Place, tmp_path: Path) -> None:
    """It was acknowledged by nobody, and the run that goes on does not take it for done."""
    place.kill(SNAPSHOTS)
    (broken,) = _new_snapshots(place)
    place.backup(Freezing(place.repository, nothing))
    (whole,) = _new_snapshots(place)
    assert whole != broken
    place.assert_whole(tmp_path)


@pytest.mark.faults
def test_before_each_write(tmp_path: Path) -> None:
    writes = 0
    number = 0
    while number == 0 or number < writes:
        folder = tmp_path / str(number)
        folder.mkdir()
        place = Place(folder)
        storage = Freezing(place.repository, place.prune, at=number)
        place.backup(storage)
        if not storage.frozen:
            break
        writes = max(writes, storage.writes)
        place.assert_whole(folder)
        number += 1
    assert number > 10


def test_packs_that_somebody_removes_in_spite_of_our_lock_are_stored_again(
    place: Place, tmp_path: Path
) -> None:
    """As a prune that takes no locks does: rustic's, or one on a store that lost them."""

    def remove() -> None:
        for path in (place.repository / DATA).rglob("*"):
            if path.is_file():
                path.unlink()
        for path in (place.repository / INDEX).iterdir():
            path.unlink()
        (place.repository / SNAPSHOTS / place.earlier[0]).unlink()

    storage = Freezing(place.repository, remove, folder=DATA)
    assert place.backup(storage) >= 1
    place.assert_whole(tmp_path)


def test_no_index_file_is_written_once_the_lock_has_gone(place: Place) -> None:
    with open_session(place.repository) as session, session.hold() as held:
        pack = next(iter(held.index.packs()))
        before = {path.name for path in (place.repository / INDEX).iterdir()}
        (entry,) = entries_of(session.repository, [pack.id]).values()
        (place.repository / pack_name(pack.id)).unlink()
        for lock in (place.repository / LOCKS).iterdir():
            lock.unlink()
        with pytest.raises(LockLostError):
            held.write_index([entry])
        with pytest.raises(LockLostError):
            held.check_lock()
    assert {path.name for path in (place.repository / INDEX).iterdir()} == before


def test_no_index_file_stands_that_names_packs_which_a_prune_is_deleting(place: Place) -> None:
    """Its packs were in the index when the prune was planned, and are still there when the file is stored."""

    def condemn_all() -> None:
        for lock in (place.repository / LOCKS).iterdir():
            lock.unlink()
        before.update(path.name for path in (place.repository / INDEX).iterdir())
        packs = {
            PackId(from_hex(path.name)) for path in (place.repository / DATA).rglob("*") if path.is_file()
        }
        condemn(another, "0" * 32, packs, alone=True)

    before: set[str] = set()
    another = Repository.open(LocalStorage(place.repository), PASSWORD)
    storage = Freezing(place.repository, condemn_all, folder=INDEX)
    session = RepositorySession(Repository.open(storage, PASSWORD))
    run = EngineRun.of(session, place.source, run_id="later")
    run.open()
    run.select()
    with pytest.raises(LockLostError):
        run.store(0)
    session.close()
    assert storage.frozen
    assert {path.name for path in (place.repository / INDEX).iterdir()} == before


def test_packs_that_are_gone_at_the_commit_are_marked_and_stored_again(place: Place, tmp_path: Path) -> None:
    """All locks and index files stand: it is the disk that has lost a pack, of this run and of an earlier one."""
    with open_session(place.repository) as session:
        run = EngineRun.of(session, place.source, run_id="later")
        run.open()
        pages = run.select()
        for shard in range(sum(page.shards for page in pages)):
            run.store(shard)
        with session.hold() as held:
            packs = {place.repository / pack_name(pack.id) for pack in held.index.packs()}
        data = [path for path in packs if _is_data(session, path)]
        assert len(data) >= 2
        for path in data:
            path.unlink()
        outcome = run.commit(pages)
        assert outcome.result is None
        assert not any((place.repository / SNAPSHOTS / name).exists() for name in _new_snapshots(place))
    failures = place.backup(Freezing(place.repository, nothing))
    assert failures == 0
    # restic may read the copy that is gone until a verification has let go of it; we know better by the marks.
    answer = restore(place.repository, tmp_path / "restored")
    assert answer["ok"]
    assert not answer["errors"]
    for path in place.source.rglob("new-*"):
        assert (tmp_path / "restored" / path.relative_to("/")).read_bytes() == path.read_bytes()


def _is_data(session: RepositorySession, path: Path) -> bool:
    pack = PackId(from_hex(path.name))
    return all(blob.type is BlobType.DATA for blob in entries_of(session.repository, [pack])[pack].blobs)


def _new_snapshots(place: Place) -> list[str]:
    return [p.name for p in (place.repository / SNAPSHOTS).iterdir() if p.name not in place.earlier]


@pytest.mark.parametrize("locked", [True, False])
def test_a_session_sees_a_prune_between_two_holds(place: Place, *, locked: bool) -> None:
    session = RepositorySession(Repository.open(LocalStorage(place.repository), PASSWORD), locked=locked)
    with session.hold() as held:
        assert len(held.index) > 0
    session.lease.close()
    place.prune()
    with session.hold() as again:
        assert len(again.index) == 0
    session.close()


def test_a_kept_file_whose_content_was_pruned_has_everything_selected_again(tmp_path: Path) -> None:
    """Alone: its directory has changed, so that no unchanged tree above it would tell of the loss."""
    source, repository = tmp_path / "source", tmp_path / "repository"
    source.mkdir()
    (source / "same").write_bytes(b"same" * 1_000)
    (source / "changes").write_bytes(b"before")
    with new_session(repository) as session:
        EngineRun.of(session, source, run_id="earlier").run()
    (source / "changes").write_bytes(b"after that")
    earlier = [path.name for path in (repository / SNAPSHOTS).iterdir()]
    with open_session(repository) as session:
        run = EngineRun.of(session, source, run_id="later")
        run.open()
        pages = run.select()
        assert sum(page.shards for page in pages) == 1
    forget_and_prune(repository, earlier)
    with open_session(repository) as session:
        again = EngineRun(replace(run.backup, session=session), run.order)
        again.store(0)
        outcome = again.commit(pages)
        assert outcome.rescan
        assert outcome.result is None
        assert not list((repository / SNAPSHOTS).iterdir())
        again.backup = again.backup.of_generation(1)
        assert again.run().totals.files == 2
    assert "no errors were found" in restic(repository, PASSWORD, "check", "--read-data")
