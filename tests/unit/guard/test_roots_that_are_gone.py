"""The alarm for a root that is gone or stands there empty, among others as alone, and for as long as it is so."""

import shutil
from pathlib import Path

import pytest

from holdfast.guard.compare import compare, newest_snapshot
from holdfast.guard.findings import Alarm, Comparison, Thresholds, judge
from holdfast.ids import BlobId, from_hex
from holdfast.repository.session import RepositorySession
from tests.support.engine import EngineRun, new_session, nothing


def _compared(session: RepositorySession, run: EngineRun) -> Comparison:
    spec = run.order.spec
    with session.hold() as held:
        held.refresh()
        stored = newest_snapshot(session.repository, spec, "testhost")
        return compare(held, spec, BlobId(from_hex(stored.snapshot.tree)), Thresholds(), nothing)


@pytest.mark.parametrize("emptied", [True, False])
def test_the_alarm_does_not_end_with_the_next_backup(tmp_path: Path, emptied: bool) -> None:  # noqa: FBT001
    """1. a disk is not mounted; 2. a backup is made all the same, and is partial; 3. its snapshot has nothing of the
    disk, so nothing is missing: the alarm must not depend on that."""
    for folder in ("full", "disk"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file").write_text(folder)
    roots = tmp_path / "full", tmp_path / "disk"
    with new_session(tmp_path / "repository") as session:
        run = EngineRun.of(session, *roots, run_id="first")
        run.run()
        assert judge(_compared(session, run), Thresholds()) is Alarm.NONE
        shutil.rmtree(tmp_path / "disk")
        if emptied:
            (tmp_path / "disk").mkdir()
        found = _compared(session, run)
        assert (judge(found, Thresholds()), found.missing) == (Alarm.ROOT_GONE, 1)
        assert EngineRun.of(session, *roots, run_id="second").run().partial
        found = _compared(session, run)
        assert (judge(found, Thresholds()), found.missing) == (Alarm.ROOT_GONE, 0)
        allowed = EngineRun.of(session, *roots, run_id="third", allow_empty=True)
        assert judge(_compared(session, allowed), Thresholds()) is (
            Alarm.NONE if emptied else Alarm.ROOT_GONE
        )
