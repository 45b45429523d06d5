"""Services of worker processes: what one has opened, others open without deriving its key again, and each keeps it."""

import os
import shutil
from pathlib import Path

import pytest

from holdfast.activities.recorder import Recorder
from holdfast.activities.services import Services
from holdfast.errors import LockLostError, WrongPasswordError
from holdfast.format.index import BlobEntry, BlobType, IndexPack
from holdfast.ids import BlobId, PackId, sha256
from holdfast.repository.layout import pack_name
from holdfast.repository.repository import Repository
from holdfast.repository.shared_keys import SharedKeys
from holdfast.service.journal.journal import Journal
from holdfast.service.settings.load import load_settings
from holdfast.service.settings.model import RepositoryProfile
from holdfast.service.settings.passwords import PasswordBook
from tests.support.counting import CountingStorage
from tests.support.engine import PASSWORD, new_session
from tests.support.memory_storage import MemoryStorage


def _services(folder: Path, keys: SharedKeys, password: bytes = PASSWORD, more: str = "") -> Services:
    file = folder / "holdfast.toml"
    file.write_text(
        f'state_dir = "{folder}/state"\n[repositories.vault]\nlocation = "{folder}/repository"\n{more}'
    )
    settings = load_settings(file, {})
    location = settings.repository("vault").location
    return Services(
        settings=settings,
        passwords=PasswordBook(given={location: password}, environ={}),
        journal=Recorder(Journal.at(settings.journal_path)),
        username="somebody",
        environ={},
        shared_keys=keys,
    )


def test_a_key_is_derived_once_for_all_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with new_session(tmp_path / "repository") as made:
        expected = made.repository.id
    descriptor = SharedKeys.create_file()
    first = _services(tmp_path, SharedKeys(descriptor))
    assert first.session("vault").repository.id == expected
    derived: list[object] = []
    monkeypatch.setattr(Repository, "open", lambda *arguments, **_: derived.append(arguments))
    second = _services(tmp_path, SharedKeys(descriptor))
    assert second.session("vault").repository.id == expected
    assert derived == []
    first.close()
    second.close()
    os.close(descriptor)


def test_a_wrong_password_is_wrong_although_the_key_is_known(tmp_path: Path) -> None:
    with new_session(tmp_path / "repository"):
        pass
    keys = SharedKeys()
    first = _services(tmp_path, keys)
    first.session("vault")
    with pytest.raises(WrongPasswordError):
        _services(tmp_path, keys, b"wrong").session("vault")
    first.close()


@pytest.fixture
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[CountingStorage]:
    """The storages that were made."""
    made: list[CountingStorage] = []

    def open_counted(profile: RepositoryProfile, *_: object) -> CountingStorage:
        made.append(CountingStorage(Path(profile.location)))
        return made[-1]

    monkeypatch.setattr("holdfast.activities.services.open_place", open_counted)
    with new_session(tmp_path / "repository"):
        pass
    return made


def test_an_opening_reads_the_config_once(tmp_path: Path, counted: list[CountingStorage]) -> None:
    """By the password as by the shared key."""
    keys = SharedKeys()
    for _ in range(2):
        services = _services(tmp_path, keys)
        services.session("vault")
        services.close()
    assert [storage.names["get", "config"] for storage in counted] == [1, 1]
    assert [storage.calls["get", "keys"] for storage in counted] == [1, 0]


def test_the_storage_is_kept_and_its_config_looked_at_only_without_the_lock(
    tmp_path: Path, counted: list[CountingStorage]
) -> None:
    services = _services(tmp_path, SharedKeys())
    session = services.session("vault")
    (storage,) = counted
    opening = storage.names["get", "config"]
    for expected in (opening + 1, opening + 2):
        assert services.session("vault") is session
        with session.hold():
            assert services.session("vault") is session
            assert services.session("vault") is session
        assert services.session("vault") is session  # the lock lingers
        assert storage.names["get", "config"] == expected
        session.lease.close()
    assert counted == [storage]
    services.close()


def test_a_repository_made_again_is_noticed_and_gets_nothing_of_the_old_key(
    tmp_path: Path, counted: list[CountingStorage]
) -> None:
    """Also where that happens while the lock was held: nothing that others would believe is written."""
    services = _services(tmp_path, SharedKeys())
    session = services.session("vault")
    entry = BlobEntry(
        id=BlobId(sha256(b"blob")), type=BlobType.DATA, offset=0, length=100, uncompressed_length=0
    )
    pack = IndexPack(id=PackId(sha256(b"pack")), blobs=(entry,))
    with session.hold() as held:
        shutil.rmtree(tmp_path / "repository")
        with new_session(tmp_path / "repository") as made:
            remade = made.repository.id
        session.repository.storage.put(pack_name(pack.id), bytes(pack.size_bytes))
        with pytest.raises(LockLostError):
            held.write_index([pack])
    assert list((tmp_path / "repository" / "index").iterdir()) == []
    assert services.session("vault").repository.id == remade != session.repository.id
    assert len(counted) == 1
    services.close()


def test_a_companion_is_where_the_settings_say(tmp_path: Path) -> None:
    with new_session(tmp_path / "repository") as made:
        repository_id = made.repository.id
    services = _services(tmp_path, SharedKeys())
    assert services.session("vault").repository.companion is services.session("vault").repository.storage
    services.close()
    companion = f'companion = "{tmp_path}/companion"\n'
    services = _services(tmp_path, SharedKeys(), more=companion)
    repository = services.session("vault").repository
    assert repository.companion.traits.directory == tmp_path / "companion" / repository_id
    services.close()


def test_the_companion_of_a_repository_that_was_made_again_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder has the old repository's id: nobody would find its connections again."""
    closed: list[str] = []

    class Closing(MemoryStorage):
        def __init__(self, location: str, _: object) -> None:
            super().__init__()
            self.place = location

        def close(self) -> None:
            closed.append(self.place)

    monkeypatch.setattr("holdfast.repository.companion.open_storage", Closing)
    with new_session(tmp_path / "repository") as made:
        old = made.repository.id
    services = _services(tmp_path, SharedKeys(), more=f'companion = "{tmp_path}/companion"\n')
    services.session("vault")
    shutil.rmtree(tmp_path / "repository")
    with new_session(tmp_path / "repository") as made:
        new = made.repository.id
    assert services.session("vault").repository.id == new
    assert closed == [f"{tmp_path}/companion/{old}"]
    services.close()
    assert closed == [f"{tmp_path}/companion/{repository}" for repository in (old, new)]
