"""Whether a restore may write before its plan is whole: only where the whole snapshot fits, as its summary says."""

import os

import msgspec
import pytest

from holdfast.format.snapshot import encode_snapshot
from holdfast.format.times import format_time
from holdfast.repository.layout import SNAPSHOTS
from holdfast.repository.snapshots import find_snapshot
from holdfast.restore.opening import OpenedRestore, open_restore
from holdfast.restore.request import RestoreOptions
from tests.restore.conftest import Place
from tests.support.restore import EngineRestore

EXABYTE = 1 << 60


def opened(place: Place, run_id: str = "restore", **options: object) -> OpenedRestore:
    asked = RestoreOptions(target=os.fsencode(place.target), **options)  # type: ignore[arg-type]  # test data
    with EngineRestore(place.session, asked, run_id).held() as run:
        return open_restore(run)


def test_what_fits_may_be_written_at_once(place: Place) -> None:
    assert opened(place).has_room
    assert opened(place).has_room, "the second call finds that it was decided"


def test_a_dry_run_writes_nothing(place: Place) -> None:
    assert not opened(place, dry_run=True).has_room


@pytest.mark.parametrize("claimed_bytes", [EXABYTE, None])
def test_what_may_not_fit_is_planned_first(place: Place, claimed_bytes: int | None) -> None:
    repository = place.session.repository
    snapshot = find_snapshot(repository, "latest").snapshot
    assert snapshot.summary is not None
    summary = None
    if claimed_bytes is not None:
        summary = msgspec.structs.replace(snapshot.summary, total_bytes_processed=claimed_bytes)
    changed = msgspec.structs.replace(snapshot, summary=summary, time=format_time(snapshot.time_ns + 1))
    repository.save_file(SNAPSHOTS, encode_snapshot(changed))
    assert not opened(place).has_room
