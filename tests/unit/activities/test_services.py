"""Services of two worker processes: what one has opened, the other opens without deriving its key again."""

import os
from pathlib import Path

import pytest

from activities.recorder import Recorder
from activities.services import Services
from holdfast.errors import WrongPasswordError
from holdfast.repository.repository import Repository
from holdfast.repository.shared_keys import SharedKeys
from service.journal.journal import Journal
from service.settings.load import load_settings
from service.settings.passwords import PasswordBook
from tests.support.engine import PASSWORD, new_session


def _services(folder: Path, keys: SharedKeys, password: bytes = PASSWORD) -> Services:
    file = folder / "holdfast.toml"
    file.write_text(f'state_dir = "{folder}/state"\n[repositories.vault]\nlocation = "{folder}/repository"\n')
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
    monkeypatch.setattr(Repository, "open", lambda *arguments: derived.append(arguments))
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
