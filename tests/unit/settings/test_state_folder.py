"""Root's own state is never in a folder where an ordinary user keeps theirs, or would."""

import os
from pathlib import Path

import pytest

from holdfast.service.settings.load import load_settings
from holdfast.service.settings.state_folder import STATE_VARIABLE, own_state_dir

ANNA = 54_321
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="files of two users can only be made by root")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "state"
    made.mkdir()
    return made


def test_an_own_folder_is_used(folder: Path) -> None:
    (folder / "journal.db").touch()
    assert own_state_dir(folder) == folder
    assert own_state_dir(folder / "not" / "there") == folder / "not" / "there"


@pytest.mark.parametrize("below", ["", "holdfast", "deep/holdfast"])
def test_another_users_is_not(folder: Path, below: str) -> None:
    os.chown(folder, ANNA, ANNA)
    found = own_state_dir(folder / below)
    assert folder not in (found, *found.parents)
    assert found == own_state_dir(folder / below)
    assert found != own_state_dir(folder / "other")


def test_one_that_both_have_used_is_not(folder: Path) -> None:
    for name, owner in (("signing.key", ANNA), ("server.lock", 0)):
        (folder / name).touch()
        os.chown(folder / name, owner, owner)
    os.chown(folder, ANNA, ANNA)
    assert own_state_dir(folder) != folder


def test_one_that_root_alone_has_used_stays_roots(folder: Path) -> None:
    (folder / "signing.key").touch()
    os.chown(folder, ANNA, ANNA)
    assert own_state_dir(folder) == folder


def test_the_settings_say_both(folder: Path) -> None:
    os.chown(folder, ANNA, ANNA)
    settings = load_settings(None, {STATE_VARIABLE: str(folder), "HOME": str(folder)})
    assert settings.asked_state_dir == folder
    assert settings.state_dir == own_state_dir(folder)
    assert settings.server.own_key is not None
    assert settings.server.own_key.parent == settings.state_dir
