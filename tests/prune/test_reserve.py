"""A full disk: a prune that copies nothing frees it with what was kept in reserve for it, and keeps that again."""

import os
from pathlib import Path

import pytest

from holdfast.errors import StorageFullError
from holdfast.repository.reserve import PIECE_BYTES, RESERVE, drawing_on_reserve, keep_reserve
from holdfast.repository.session import RepositorySession
from tests.prune.conftest import Place
from tests.support.disks import tmpfs
from tests.support.doubles import DyingStorage, Killed
from tests.support.engine import SMALL, open_session
from tests.support.pruning import Pruning, binned, everything

PIECES = 5
"""For a repository of few blobs."""


def reserve(place: Place) -> int:
    return len(list((place.repository / RESERVE).iterdir()))


def fill_disk(path: Path) -> None:
    """Take all the space that there is, to the last block."""
    for size in (1 << 20, 1 << 12):
        try:
            with path.open("ab") as file:
                while True:
                    file.write(os.urandom(size))
                    file.flush()
        except OSError:
            continue


def prune(session: RepositorySession, run_id: str) -> int:
    pruning = Pruning(session, run_id, everything(full_disk=True, roots=binned(session)))
    return pruning.run().deleted_packs


def test_a_full_disk_is_freed_with_the_reserve(template: Place, tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", "size=40m") as disk:
        place = template.copy(disk / "place")
        with open_session(place.repository, small=True) as session:
            keep_reserve(session.repository, blobs=100)
            assert reserve(place) == PIECES
            fill_disk(disk / "filler")
            with pytest.raises(StorageFullError):
                prune(session, "without")
            drawing = RepositorySession(drawing_on_reserve(session.repository), sizes=SMALL)
            try:
                assert prune(drawing, "with") > 0
            finally:
                drawing.close()
            assert reserve(place) < PIECES
            keep_reserve(session.repository, blobs=100)
            assert reserve(place) < PIECES, "there is not enough room for it yet"
            (disk / "filler").unlink()
            keep_reserve(session.repository, blobs=100)
            assert reserve(place) == PIECES
        place.assert_sound(snapshots=2)


def test_a_crash_leaves_some_pieces_and_the_rest_is_written_the_next_time(place: Place) -> None:
    with open_session(place.repository, small=True) as session:
        repository = session.repository
        whole, repository.storage = repository.storage, DyingStorage(repository.storage, 2, done=False)
        with pytest.raises(Killed):
            keep_reserve(repository, blobs=0)
        repository.storage = whole
        assert reserve(place) == 2
        keep_reserve(repository, blobs=1_000_000)
    sizes = {path.stat().st_size for path in (place.repository / RESERVE).iterdir()}
    assert sizes == {PIECE_BYTES}
    assert reserve(place) == 66
    place.assert_whole(snapshots=2)
