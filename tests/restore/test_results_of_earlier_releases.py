"""A restore that an earlier release began is gone on with: its shards' results have no part of the log in them."""

from pathlib import Path

import msgspec
import pytest

from holdfast.restore import report
from holdfast.restore.documents import ShardResult
from holdfast.restore.plan_reader import load_result
from holdfast.restore.run import RestoreRun
from tests.support.engine import EngineRun, new_session
from tests.support.restore import restore


def test_the_log_is_made_from_the_plan_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    (source / "below").mkdir(parents=True)
    for name in ("one", "below/two"):
        (source / name).write_text(name)
    with new_session(tmp_path / "repository") as session:
        EngineRun.of(session, source).run()
        told = restore(session, tmp_path / "target").records

        def without_log(run: RestoreRun, shard: int) -> ShardResult:
            return msgspec.structs.replace(load_result(run, shard), log=None)

        monkeypatch.setattr(report, "load_result", without_log)
        assert restore(session, tmp_path / "another").records == told
    assert len(told) > 1
