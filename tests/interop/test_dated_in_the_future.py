"""Snapshots that another program's clock dated in the future: no parent, not the latest one, and told."""

import time
from pathlib import Path

import pytest

from holdfast.format.tags import STRATEGY_TAG
from holdfast.guard.compare import newest_snapshot
from holdfast.ids import to_hex
from holdfast.repository.snapshots import MAX_SKEW_NS, find_snapshot, is_ahead, latest_of, list_snapshots
from holdfast.restore.opening import open_restore
from holdfast.restore.request import RestoreOptions
from holdfast.source.spec import SourceSpec
from tests.interop.others import RECIPES
from tests.support.engine import EngineRun, new_session
from tests.support.restore import EngineRestore, restore

YEAR_NS = 365 * 86_400 * 10**9


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").write_bytes(b"of the future")
    return tmp_path / "source"


@pytest.mark.parametrize("strategy", ["auto", "incremental", "differential"])
def test_it_is_no_parent_and_not_the_latest(source: Path, tmp_path: Path, strategy: str) -> None:
    with new_session(tmp_path / "repository") as session:
        RECIPES["leftovers"](session.repository, source, time.time_ns() + YEAR_NS)
        (ahead,) = list_snapshots(session.repository)
        run = EngineRun.of(session, source, strategy=strategy)
        opening = run.open().opening
        assert not opening.parent
        assert f"passed over: {to_hex(ahead.id)[:8]}" in opening.reason
        (source / "file").write_bytes(b"of today")
        today = run.run().snapshot
        latest = find_snapshot(session.repository, "latest")
        assert (latest.id, latest.ahead) == (today, (ahead.id,))
        spec = SourceSpec(roots=(bytes(source),))
        assert newest_snapshot(session.repository, spec, "testhost").id == today
        restore(session, tmp_path / "target", snapshot=f"latest:{source}")
        assert (tmp_path / "target" / "file").read_bytes() == b"of today"
        options = RestoreOptions(target=bytes(tmp_path / "other"), snapshot="latest")
        with EngineRestore(session, options, run_id="told").held() as restoring:
            assert open_restore(restoring).opening.ahead == (ahead.id,)
        assert find_snapshot(session.repository, to_hex(ahead.id)).id == ahead.id
        assert all(not tag.startswith(STRATEGY_TAG) for tag in ahead.snapshot.tags or ())


def test_where_all_are_the_clock_is_wrong(source: Path, tmp_path: Path) -> None:
    """A machine that comes up with the clock of its factory can be restored, and is told."""
    with new_session(tmp_path / "repository") as session:
        for years in (1, 2):
            RECIPES["leftovers"](session.repository, source, time.time_ns() + years * YEAR_NS)
        stored = list_snapshots(session.repository)
        latest = find_snapshot(session.repository, "latest")
        assert (latest.id, len(latest.ahead)) == (stored[-1].id, 2)


def test_clocks_of_hosts_may_differ_a_little(source: Path, tmp_path: Path) -> None:
    now_ns = time.time_ns()
    with new_session(tmp_path / "repository") as session:
        RECIPES["leftovers"](session.repository, source, now_ns)
        (stored,) = list_snapshots(session.repository)
    assert not is_ahead(stored, now_ns - MAX_SKEW_NS)
    assert is_ahead(stored, now_ns - MAX_SKEW_NS - 1)
    assert latest_of([stored], now_ns).ahead == ()
