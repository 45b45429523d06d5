"""A prune refuses where something is wrong, says why, and removes nothing."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.errors import (
    BlobMissingError,
    CorruptFileError,
    HoldfastError,
    StorageUnavailableError,
    UsageError,
)
from holdfast.prune.switch import switch
from holdfast.repository.layout import SNAPSHOTS
from holdfast.repository.locking import Clock
from holdfast.storage.contract import StoredFile
from holdfast.storage.layers.layer import Layer
from holdfast.storage.local import LocalStorage
from tests.prune.conftest import Place
from tests.support.engine import nothing, open_session, small_session
from tests.support.pruning import Pruning, everything


def assert_refused(place: Place, kind: type[HoldfastError], words: str, **order: object) -> None:
    """The prune fails so, and every file is still there."""
    before = stored(place)
    with open_session(place.repository, small=True) as session, pytest.raises(kind, match=words):
        Pruning(session, order=everything(**order)).run()
    assert stored(place) == before


def stored(place: Place) -> set[Path]:
    return {
        path.relative_to(place.repository)
        for folder in ("data", "index", "snapshots")
        for path in (place.repository / folder).rglob("*")
    }


def test_an_open_alarm(place: Place) -> None:
    assert_refused(
        place, UsageError, "alarm is open: half of it is encrypted", alarm="half of it is encrypted"
    )


def test_an_alarm_that_is_raised_while_the_prune_waits(place: Place) -> None:
    with open_session(place.repository, small=True) as session:
        pruning = Pruning(session)
        pruning.repack(pruning.plan())
        before = stored(place)
        with pytest.raises(UsageError, match="alarm is open: half of it"):
            switch(pruning.prune, nothing, alarm=lambda: "half of it is encrypted")
        assert stored(place) == before
        pruning.run()
    place.assert_sound(snapshots=2)


def test_a_clock_that_is_off(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    of_day_s = Clock.of_day_s
    monkeypatch.setattr(Clock, "of_day_s", lambda clock: of_day_s(clock) + 400)
    assert_refused(place, UsageError, "7 minutes ahead")


def test_a_needed_blob_is_missing(place: Place) -> None:
    with open_session(place.repository, small=True) as session, session.hold() as held:
        newest = max(
            held.files.files, key=lambda one: os.stat(place.repository / "index" / one.hex()).st_mtime_ns
        )
    (place.repository / "index" / newest.hex()).unlink()
    assert_refused(place, BlobMissingError, "in no index")


def test_a_needed_pack_is_not_there(place: Place) -> None:
    with open_session(place.repository, small=True) as session:
        Pruning(session).run()
    time.sleep(1.1)  # our lock lingers
    pack = next(path for path in (place.repository / "data").rglob("*") if path.is_file())
    pack.write_bytes(pack.read_bytes()[:-1])
    assert_refused(place, CorruptFileError, "not whole|shorter|cannot|damaged|size")


def test_an_index_file_that_cannot_be_read(place: Place) -> None:
    index = next((place.repository / "index").iterdir())
    index.write_bytes(index.read_bytes()[:-1])
    assert_refused(place, CorruptFileError, index.name[:8])


def test_a_snapshot_that_cannot_be_read(place: Place) -> None:
    snapshot = next((place.repository / SNAPSHOTS).iterdir())
    snapshot.write_bytes(snapshot.read_bytes()[:-1])
    assert_refused(place, CorruptFileError, "nobody knows what it needs")


def test_a_file_that_nobody_knows(place: Place) -> None:
    (place.repository / "data" / "00").mkdir(exist_ok=True)
    (place.repository / "data" / "00" / "notes.txt").write_text("mine")
    assert_refused(place, UsageError, "notes.txt")


def test_what_a_crash_of_restic_has_left_is_known(place: Place) -> None:
    pack = next(iter(place.packs()))
    (place.repository / "data" / pack[:2] / f"{pack}-tmp-123456").write_bytes(b"half")
    with open_session(place.repository, small=True) as session:
        assert Pruning(session).run().deleted_packs > 0


def test_more_than_half_would_go_and_nobody_has_verified(place: Place) -> None:
    place.forget(*place.snapshots()[1:])
    for snapshot in place.snapshots()[:1]:
        place.forget(snapshot)
    assert_refused(place, UsageError, "more than half", verified_ns=0)
    with open_session(place.repository, small=True) as session:
        assert Pruning(session, "verified").run().deleted_packs > 0
    assert place.packs() == set()


class Forgetful(Layer):
    """Its listings leave out one snapshot after the first look."""

    hidden = ""

    def list(self, folder: str) -> Iterator[StoredFile]:
        return (file for file in self.below.list(folder) if self._shown(file))

    def _shown(self, file: StoredFile) -> bool:
        return not self.hidden or not file.name.endswith(self.hidden)


def test_a_listing_that_leaves_out_a_snapshot(place: Place) -> None:
    storage = Forgetful(LocalStorage(place.repository))
    session = small_session(storage)
    before = stored(place)
    try:
        pruning = Pruning(session)
        plan = pruning.plan()
        storage.hidden = place.snapshots()[0]
        pruning.repack(plan)
        with pytest.raises(StorageUnavailableError, match="leaves out the snapshot"):
            pruning.switch()
    finally:
        session.close()
    assert before <= stored(place)
