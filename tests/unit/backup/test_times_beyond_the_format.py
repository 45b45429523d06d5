"""Times after the year 9999, which the format does not have: the entry is stored, and the loss told at each backup."""

import os
from pathlib import Path

import pytest

from holdfast.backup.report import file_records
from holdfast.format.times import LAST_NS
from tests.support.disks import tmpfs
from tests.support.engine import EngineRun, new_session

YEAR_10000_NS = LAST_NS + 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a file system that has such years")
@pytest.mark.parametrize("name", ["file", "folder", "link"])
def test_a_time_beyond_the_format_is_told_each_time(tmp_path: Path, name: str) -> None:
    with tmpfs(tmp_path / "disk", "size=1m") as source, new_session(tmp_path / "repository") as session:
        (source / "file").write_bytes(b"content")
        (source / "folder").mkdir()
        (source / "link").symlink_to("file")
        os.utime(source / name, ns=(0, YEAR_10000_NS), follow_symlinks=False)
        for run_id in ("first", "second"):
            run = EngineRun.of(session, source, run_id=run_id)
            result = run.run(close=False)
            pages = run.select()
            records = file_records(run.backup, len(pages), sum(page.shards for page in pages))
            told = {record.path: record.message for record in records if "9999" in record.message}
            assert list(told) == [bytes(source / name)]
            assert (result.partial, result.totals.errors) == (True, 1)
        os.utime(source / name, ns=(0, LAST_NS), follow_symlinks=False)
        assert not EngineRun.of(session, source, run_id="third").run().partial
