"""Which of this host's locks are of dead processes is known without asking the repository."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.repository.identity import this_place
from holdfast.repository.layout import LOCKS, file_name
from holdfast.repository.lock_files import write_lock
from holdfast.repository.lock_notes import LockNotes
from holdfast.repository.repository import Repository
from holdfast.repository.session import RepositorySession
from holdfast.storage.local import LocalStorage
from tests.support.counting import CountingStorage
from tests.support.engine import PASSWORD, new_session


class Place:
    """A repository, and a session that notes its locks."""

    def __init__(self, folder: Path) -> None:
        with new_session(folder / "repository"):
            pass
        self.storage = CountingStorage(folder / "repository")
        self.folder = folder / "notes"
        self.notes = LockNotes(self.folder)
        self.session = RepositorySession(Repository.open(self.storage, PASSWORD), lock_notes=self.notes)

    def locks(self) -> list[str]:
        return [file.name.rpartition("/")[2] for file in self.storage.below.list(LOCKS)]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.session.close()


def test_a_lock_is_noted_while_it_is_there(place: Place) -> None:
    with place.session.hold():
        assert [path.name for path in place.folder.iterdir()] == place.locks() != []
        assert [*place.notes.of_dead()] == []
    place.session.lease.close()
    assert [*place.folder.iterdir()] == []


def test_the_lock_of_a_dead_process_goes_by_one_request(place: Place, dead: tuple[int, int]) -> None:
    lock_id = write_lock(place.session.repository, exclusive=False)
    place.folder.mkdir()
    pid, started = dead
    (place.folder / lock_id.hex()).write_text(f"{pid} {started} {this_place()}")
    (place.folder / ("0" * 64)).write_text("half of a no")
    place.storage.calls.clear()
    place.session.remove_dead_locks()
    assert place.storage.calls == {("delete", LOCKS): 1}
    assert place.storage.size_or_none(file_name(LOCKS, lock_id)) is None
    assert [*place.notes.of_dead()] == []
    place.storage.calls.clear()
    place.session.remove_dead_locks()
    assert not place.storage.calls


def test_where_nothing_can_be_noted_locks_are_taken_all_the_same(tmp_path: Path) -> None:
    with new_session(tmp_path / "repository"):
        pass
    (tmp_path / "file").write_text("no folder")
    repository = Repository.open(LocalStorage(tmp_path / "repository"), PASSWORD)
    session = RepositorySession(repository, lock_notes=LockNotes(tmp_path / "file" / "notes"))
    with session.hold():
        assert [*repository.storage.list(LOCKS)] != []
    session.remove_dead_locks()
    session.close()
    assert [*repository.storage.list(LOCKS)] == []
