"""A prune sees what other hosts hold and are about to store only where it shares their companion."""

import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.errors import UsageError
from holdfast.prune.opening import open_prune
from holdfast.repository.companion import join_companion
from holdfast.repository.repository import Repository
from holdfast.repository.session import RepositorySession
from holdfast.storage.contract import Traits
from holdfast.storage.local import LocalStorage
from tests.prune.conftest import Place
from tests.support.doubles import ResticOnlyStorage
from tests.support.engine import PASSWORD, SMALL, SMALL_PACK_BYTES
from tests.support.pruning import Pruning, everything


class FarStorage(ResticOnlyStorage):
    """As restic's REST server, which is no directory of this host."""

    @property
    def traits(self) -> Traits:
        return replace(super().traits, directory=None)


def session_of(place: Place, companion: Path | None, state: Path) -> RepositorySession:
    repository = Repository.open(FarStorage(LocalStorage(place.repository)), PASSWORD)
    join_companion(repository, "" if companion is None else str(companion), state)
    return RepositorySession(repository, sizes=SMALL, pack_size_bytes=SMALL_PACK_BYTES)


def back_up_elsewhere(place: Place) -> None:
    place.restic("backup", str(place.source), "--host", "another")


def test_several_hosts_without_a_common_companion_are_not_pruned(place: Place, tmp_path: Path) -> None:
    back_up_elsewhere(place)
    before = place.packs()
    with (
        closing(session_of(place, None, tmp_path / "state")) as session,
        pytest.raises(UsageError, match="2 hosts use it"),
    ):
        Pruning(session).run()
    assert place.packs() == before


def test_a_host_that_only_prunes_does_not_see_what_the_other_holds(place: Place, tmp_path: Path) -> None:
    """All snapshots are of one host, and that has its bin, its holds and its checkpoints for itself."""
    with (
        closing(session_of(place, None, tmp_path / "state")) as session,
        pytest.raises(UsageError, match="2 hosts use it"),
    ):
        open_prune(Pruning(session).prune, everything(), time.time_ns(), host="keeper")


def test_a_named_companion_will_do(place: Place, tmp_path: Path) -> None:
    back_up_elsewhere(place)
    with closing(session_of(place, tmp_path / "companion", tmp_path / "state")) as session:
        assert Pruning(session).run().deleted_packs > 0
    place.assert_sound(snapshots=3)


def test_a_host_that_is_alone_needs_none(place: Place, tmp_path: Path) -> None:
    with closing(session_of(place, None, tmp_path / "state")) as session:
        assert Pruning(session).run().deleted_packs > 0
    place.assert_sound(snapshots=2)
