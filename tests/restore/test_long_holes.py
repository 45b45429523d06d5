"""Long holes cost nothing: they are known by the id of a block of zeros, and never looked at byte by byte."""

from pathlib import Path

import pytest

from holdfast.restore.shard.zeros import BLOCK_BYTES
from holdfast.safe_fs import sparse
from tests.support.engine import EngineRun, new_session
from tests.support.restore import restore
from tests.support.trees import inside

BLOCKS = 60


def test_blocks_of_zeros_are_not_scanned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scanned = 0
    runs = sparse.data_runs

    def counted(data: bytes, offset: int) -> list[tuple[int, int]]:
        nonlocal scanned
        scanned += len(data)
        return runs(data, offset)

    monkeypatch.setattr(sparse, "data_runs", counted)
    source = tmp_path / "source"
    source.mkdir()
    with (source / "sparse").open("wb") as file:
        file.truncate(BLOCKS * BLOCK_BYTES)
        file.seek(BLOCKS * BLOCK_BYTES // 2)
        file.write(b"data")
    with new_session(tmp_path / "repository") as session:
        EngineRun.of(session, source).run()
        restored = restore(session, tmp_path / "target")
    assert restored.verified is not None
    assert restored.verified.ok
    assert scanned <= 4 * BLOCK_BYTES
    assert inside(tmp_path / "target", source / "sparse").stat().st_blocks * 512 <= 64 * 1024
