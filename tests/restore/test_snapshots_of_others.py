"""What another process has just stored is restored, verified and listed by one that has held the lock since before."""

import os
from pathlib import Path

import pytest

from holdfast.restore.opening import open_restore
from holdfast.restore.request import RestoreOptions
from holdfast.verify.trees import check_trees
from tests.restore.conftest import Place
from tests.support.comparison import same
from tests.support.engine import EngineRun, nothing, open_session
from tests.support.restore import EngineRestore, restore
from tests.support.verification import opened


@pytest.fixture
def newer(place: Place, tmp_path: Path) -> Path:
    """What a snapshot of another session holds."""
    source = tmp_path / "newer"
    (source / "folder").mkdir(parents=True)
    (source / "folder" / "file").write_bytes(os.urandom(5_000))
    return source


def _back_up(place: Place, source: Path) -> None:
    with open_session(place.target.parent / "repository") as other:
        EngineRun.of(other, source, run_id="of-another").run()


def test_the_snapshot_is_restored(place: Place, newer: Path) -> None:
    with place.session.hold():  # as a worker does whose lock lingers, or that has other work as well
        _back_up(place, newer)
        restored = restore(place.session, place.target, snapshot=f"latest:{newer}")
    assert not restored.finished.partial
    assert same(newer, place.target)


def test_the_snapshot_is_whole(place: Place, newer: Path) -> None:
    with place.session.hold():
        _back_up(place, newer)
        assert check_trees(opened(place.session, "verification"), nothing).problem_count == 0


def test_a_snapshot_that_comes_while_the_restore_is_opened(place: Place, newer: Path) -> None:
    options = RestoreOptions(target=bytes(place.target), snapshot=f"latest:{newer}")
    with EngineRestore(place.session, options).held() as run:
        _back_up(place, newer)
        assert open_restore(run).opening.tree


def test_who_begins_to_use_the_index_does_not_load_it_again(place: Place, newer: Path) -> None:
    with place.session.hold() as held:
        before = len(held.index)
        _back_up(place, newer)
        with place.session.hold() as again:
            assert again is held
            assert len(again.index) > before
