"""What a command sees of the journal's file without loading SQLAlchemy."""

from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.service.journal.glance import is_recorded, nothing_open
from holdfast.service.journal.journal import Journal
from holdfast.service.journal.records import RunRecord
from holdfast.terms import RunKind, RunStatus

RUN = RunRecord(
    run_id="backup:host:main:docs/1",
    kind=RunKind.BACKUP,
    status=RunStatus.COMPLETE,
    repository="main",
    source="docs",
    host="host",
    started_ns=1,
)


@pytest.mark.parametrize(
    ("status", "well"),
    [
        (RunStatus.COMPLETE, True),
        (RunStatus.PARTIAL, True),
        (RunStatus.RUNNING, False),
        (RunStatus.FAILED, False),
        (RunStatus.CANCELLED, False),
    ],
)
def test_only_the_newest_run_of_the_source_counts(tmp_path: Path, status: RunStatus, *, well: bool) -> None:
    path = tmp_path / "a journal.db"
    journal = Journal.at(path)
    journal.record(RUN)
    journal.record(replace(RUN, run_id="2", status=status, started_ns=2))
    journal.record(replace(RUN, run_id="3", source="other", status=RunStatus.FAILED, started_ns=3))
    journal.record(replace(RUN, run_id="4", repository="other", status=RunStatus.FAILED, started_ns=3))
    assert nothing_open(path, RunKind.BACKUP, "main", "docs") is well
    assert nothing_open(path, RunKind.RESTORE, "main", "docs")  # there is none
    assert nothing_open(path, RunKind.BACKUP, "main", "do")
    assert nothing_open(path, RunKind.BACKUP, "main", "doXX", alike=2) is well
    assert is_recorded(path, "2") is (status is not RunStatus.RUNNING)
    assert not is_recorded(path, "5")


def test_what_cannot_be_seen_is_left_to_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    assert not nothing_open(path, RunKind.BACKUP, "main", "docs")
    assert not is_recorded(path, "1")
    assert not path.exists()
    path.write_bytes(b"no database" * 100)
    assert not nothing_open(path, RunKind.BACKUP, "main", "docs")
