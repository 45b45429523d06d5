"""What a long-lived worker keeps of the repositories that it has opened."""

import gc
import weakref
from pathlib import Path

import pytest

from holdfast import heap
from holdfast.activities.recorder import Recorder
from holdfast.activities.services import KEPT_AWAKE, Services
from holdfast.repository.index.map import IndexMap
from holdfast.repository.layout import LOCKS, list_ids
from holdfast.service.journal.journal import Journal
from holdfast.service.settings.load import load_settings
from holdfast.service.settings.passwords import PasswordBook
from tests.support.engine import PASSWORD, new_session

NAMES = [f"vault{number}" for number in range(KEPT_AWAKE + 2)]


@pytest.fixture
def services(tmp_path: Path) -> Services:
    text = f'state_dir = "{tmp_path}/state"\n'
    for name in NAMES:
        with new_session(tmp_path / name):
            text += f'[repositories.{name}]\nlocation = "{tmp_path}/{name}"\n'
    (tmp_path / "holdfast.toml").write_text(text)
    settings = load_settings(tmp_path / "holdfast.toml", {})
    return Services(
        settings=settings,
        passwords=PasswordBook(given={f"{tmp_path}/{name}": PASSWORD for name in NAMES}, environ={}),
        journal=Recorder(Journal.at(settings.journal_path)),
        username="somebody",
        environ={},
    )


def used(services: Services, name: str) -> "weakref.ref[IndexMap]":
    """Its index, after an activity that is over for long."""
    session = services.session(name)
    with session.hold() as held:
        index = weakref.ref(held.index)
    session.close()
    return index


def is_awake(index: "weakref.ref[IndexMap]") -> bool:
    gc.collect()
    return index() is not None


def test_only_the_last_ones_keep_what_they_loaded(services: Services) -> None:
    indexes = [used(services, name) for name in NAMES]
    services.let_rest()
    assert [is_awake(index) for index in indexes] == [False] * 2 + [True] * KEPT_AWAKE
    indexes[0] = used(services, NAMES[0])
    services.let_rest()
    assert [is_awake(index) for index in indexes] == [True, False, False, *[True] * (KEPT_AWAKE - 1)]


def test_what_is_in_use_is_left_alone_until_it_is_not(services: Services, tmp_path: Path) -> None:
    session = services.session(NAMES[0])
    with session.hold() as held:
        index = weakref.ref(held.index)
        del held
        for name in NAMES[1:]:
            used(services, name)
        services.let_rest(unused_s=-1)
        assert is_awake(index)
        assert list(list_ids(session.repository.storage, LOCKS))
    session.close()
    services.let_rest(unused_s=-1)
    assert not is_awake(index)
    assert not list(list_ids(session.repository.storage, LOCKS))
    assert services.session(NAMES[0]) is session
    with session.hold() as held:
        assert len(held.index) == 0


def test_what_was_not_used_for_long_rests_although_there_are_few(services: Services) -> None:
    index = used(services, NAMES[0])
    services.let_rest()
    assert is_awake(index)
    services.let_rest(unused_s=-1)
    assert not is_awake(index)


def test_what_was_freed_goes_back_to_the_system_once_nothing_is_in_use(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_back: list[str] = []
    monkeypatch.setattr(heap, "give_back", lambda: given_back.append("all"))
    session = services.session(NAMES[0])
    with session.hold():
        services.let_rest(quiet_s=0)
        assert not given_back
    session.close()
    services.let_rest()
    assert not given_back

    services.let_rest(quiet_s=0)
    services.let_rest(quiet_s=0)

    assert given_back == ["all"]
