"""The journal on SQLite and on PostgreSQL: the same calls, the same answers."""

import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from holdfast.errors import JournalUnavailableError
from holdfast.file_list import FileAction, FileRecord
from holdfast.service.journal.journal import Journal
from holdfast.service.journal.records import OutputRecord, RunRecord, VerdictRecord
from holdfast.terms import RunKind, RunStatus
from tests.support.postgres import Cluster

RUN = RunRecord(
    run_id="backup:mars:home:documents/0",
    kind=RunKind.BACKUP,
    status=RunStatus.RUNNING,
    repository="home",
    source="documents",
    host="mars",
    trigger_kind="event",
    trigger_by="watch",
    trigger_evidence="a name that is not UTF-8 (\udcff) and one with a NUL (\0)",
    strategy="incremental",
    reason="the newest snapshot is its parent",
    parent="ab" * 32,
    started_ns=1_800_000_000_000_000_000,
)
ENDED = replace(
    RUN,
    status=RunStatus.PARTIAL,
    snapshot_id="cd" * 32,
    ended_ns=RUN.started_ns + 5_000_000_000,
    counters={"bytes_total": 1 << 50, "errors": 1},
)
FILES = [
    FileRecord(path=b"/home/new", action=FileAction.NEW, size_bytes=1 << 40),
    FileRecord(path=b"/home/\xff\0", action=FileAction.CHANGED, size_bytes=3),
    FileRecord(path=b"/home/gone", action=FileAction.UNREADABLE, message="no such file \udcfe\0"),
]


def test_a_run_is_told_as_it_was_recorded(journal: Journal) -> None:
    journal.record(ENDED)
    found = journal.run(RUN.run_id)
    assert found == replace(
        ENDED, trigger_evidence=r"a name that is not UTF-8 (\udcff) and one with a NUL (\x00)"
    )
    assert journal.run("another") is None


def test_a_late_attempt_and_a_second_record_lose_nothing(journal: Journal) -> None:
    verdict = VerdictRecord(level="written", ok=False, problem_count=1, problems=("pack ab: \udcff\0",))
    journal.record(RUN)
    journal.record(ENDED)
    journal.set_verdict(RUN.run_id, verdict)
    journal.record(RUN)
    journal.record(ENDED)
    found = journal.run(RUN.run_id)
    assert found is not None
    assert found.status is RunStatus.PARTIAL
    assert found.verdict is not None
    assert found.verdict.problems == (r"pack ab: \udcff\x00",)


def test_files_are_told_in_their_order_and_once(journal: Journal) -> None:
    assert journal.add_files(RUN.run_id, FILES) == 3
    assert journal.add_files(RUN.run_id, FILES) == 3
    told = list(journal.files(RUN.run_id))
    assert [file.path for file in told] == [file.path for file in FILES]
    assert told[2].message == r"no such file \udcfe\x00"
    assert list(journal.files(RUN.run_id, [FileAction.CHANGED])) == [FILES[1]]
    many = [FileRecord(path=b"/%d" % number, action=FileAction.NEW) for number in range(25_000)]
    journal.add_files(RUN.run_id, many)
    assert list(journal.files(RUN.run_id)) == many
    journal.add_files(RUN.run_id, FILES[:1])
    assert list(journal.files(RUN.run_id)) == FILES[:1]


def test_runs_are_found_by_what_is_asked(journal: Journal) -> None:
    hour = 3_600_000_000_000
    outcomes = [RunStatus.COMPLETE, RunStatus.FAILED, RunStatus.PARTIAL, RunStatus.COMPLETE]
    for number, outcome in enumerate(outcomes):
        journal.record(
            replace(
                RUN,
                run_id=f"run/{number}_{number}%",
                source="etc" if number == 3 else "documents",
                kind=RunKind.RESTORE if number == 2 else RunKind.BACKUP,
                status=outcome,
                started_ns=RUN.started_ns + number * hour,
            )
        )

    def numbers(found: list[RunRecord]) -> list[str]:
        return [run.run_id[4] for run in found]

    assert numbers(journal.runs()) == ["3", "2", "1", "0"]
    assert numbers(journal.runs(2)) == ["3", "2"]
    assert numbers(journal.runs(source="documents", kind=RunKind.BACKUP)) == ["1", "0"]
    assert numbers(journal.runs(statuses=[RunStatus.FAILED, RunStatus.PARTIAL])) == ["2", "1"]
    assert numbers(journal.runs(since_ns=RUN.started_ns + hour, before_ns=RUN.started_ns + 3 * hour)) == [
        "2",
        "1",
    ]
    assert journal.runs(repositories=["another"]) == []
    assert journal.ending_with("2%") == ["run/2_2%"]
    assert journal.ending_with("_%") == []


def test_the_newest_of_each_source_by_status_and_what_was_added(journal: Journal) -> None:
    runs = [
        replace(ENDED, run_id=f"{number}", status=status, source=source, started_ns=number, counters=counters)
        for number, (source, status, counters) in enumerate(
            [
                ("documents", RunStatus.COMPLETE, {"data_added_packed": 3, "stored_data_added_packed": 2}),
                ("documents", RunStatus.COMPLETE, {"data_added_packed": 5}),
                ("documents", RunStatus.FAILED, {"stored_data_added_packed": 7}),
                ("music", RunStatus.FAILED, {}),
            ],
            start=1,
        )
    ]
    for run in [*runs, replace(ENDED, run_id="verification", kind=RunKind.VERIFY, started_ns=9)]:
        journal.record(run)
    newest = journal.newest_of_each(RunKind.BACKUP)
    assert sorted(run.run_id for run in newest) == ["2", "3", "4"]
    assert {run.run_id: run for run in newest}["2"].status is RunStatus.COMPLETE
    assert [(one.source, one.started_ns, one.added_bytes) for one in journal.added(2)] == [
        ("documents", 2, 5),
        ("documents", 3, 7),
        ("music", 4, 0),
    ]


def test_writers_at_once_leave_each_run_once(new_journal: Callable[[], Journal]) -> None:
    """A new database, whose tables all of them make, and one run that all of them record."""

    def write(number: int) -> None:
        journal = new_journal()
        journal.record(RUN)
        journal.record(ENDED)
        journal.add_files(RUN.run_id, FILES)
        journal.record(replace(RUN, run_id=f"run/{number}"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(16)))
    journal = new_journal()
    assert len(journal.runs()) == 17
    assert [file.path for file in journal.files(RUN.run_id)] == [file.path for file in FILES]
    found = journal.run(RUN.run_id)
    assert found is not None
    assert found.status is RunStatus.PARTIAL


def test_another_layout_is_left_alone(postgres: Cluster) -> None:
    url = postgres.new_database("another_layout")
    postgres.execute(
        "CREATE TABLE schema_version (version INTEGER); INSERT INTO schema_version VALUES (3)",
        "another_layout",
    )
    with pytest.raises(JournalUnavailableError, match="layout 3"):
        Journal(url, password=b"canary-postgres-password".__bytes__).runs()
    assert (
        postgres.execute(r"SELECT count(*) FROM pg_tables WHERE tablename = 'runs'", "another_layout") == "0"
    )


@pytest.mark.parametrize("password", [b"a-wrong-one", b""])
def test_a_server_that_refuses_is_told_without_the_password(postgres: Cluster, password: bytes) -> None:
    with pytest.raises(JournalUnavailableError) as raised:
        Journal(postgres.url(), password=password.__bytes__).record(RUN)
    assert "canary" not in str(raised.value)
    assert not password or password.decode() not in str(raised.value)


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(JournalUnavailableError, match="Backups go on without it"):
        Journal(f"postgresql://me@/journal?host={tmp_path}").runs()


def test_a_path_is_no_url(tmp_path: Path) -> None:
    path = tmp_path / "why?" / "50%20 # journal.db"
    Journal.at(path).record(RUN)
    assert path.exists()
    assert [run.run_id for run in Journal.at(path).runs()] == [RUN.run_id]


@pytest.mark.parametrize("url", ["no url", "mysql://me@host/journal", "sqlite:///relative.db"])
def test_what_is_no_journal_is_refused(url: str) -> None:
    with pytest.raises(JournalUnavailableError):
        Journal(url)


def test_an_attempt_is_a_record_of_its_own_and_ends_the_one_that_was_lost(journal: Journal) -> None:
    again = replace(
        RUN,
        run_id="backup:mars:home:documents/1",
        resumes=RUN.run_id,
        started_ns=RUN.started_ns + 9,
        request="{}",
    )
    third = replace(again, run_id="backup:mars:home:documents/2", started_ns=RUN.started_ns + 20)
    journal.record(RUN)
    journal.record(again)
    lost = journal.run(RUN.run_id)
    assert lost is not None
    assert (lost.status, lost.failure_kind, lost.ended_ns) == (
        RunStatus.FAILED,
        "Interrupted",
        again.started_ns,
    )
    assert again.run_id in lost.failure_message
    journal.record(third)
    assert [run.status for run in journal.runs(9)] == [
        RunStatus.RUNNING,
        RunStatus.FAILED,
        RunStatus.FAILED,
    ]
    ended = replace(
        third, status=RunStatus.FAILED, failure_kind="StorageFullError", failure_message="full", request=""
    )
    journal.record(ended)
    found = journal.run(third.run_id)
    assert found is not None
    assert (found.failure_message, found.request, found.workspace_id) == ("full", "{}", RUN.run_id)
    journal.record(replace(third, status=RunStatus.RUNNING))
    assert journal.run(third.run_id) == found


def test_what_was_found_to_be_damaged_is_not_complete(journal: Journal) -> None:
    damaged = VerdictRecord(level="full", ok=False, problem_count=1)
    kinds = (RunKind.BACKUP, RunKind.RESTORE, RunKind.VERIFY, RunKind.DRILL)
    for number, kind in enumerate(kinds):
        run = replace(ENDED, run_id=f"{kind.value}/{number}", kind=kind, status=RunStatus.COMPLETE)
        journal.record(run)
        journal.set_verdict(run.run_id, damaged)
    told = {run.kind: (run.status, run.failure_kind) for run in journal.runs(9)}
    assert told == dict.fromkeys(kinds[:3], (RunStatus.FAILED, "DamageFound")) | {
        RunKind.DRILL: (RunStatus.COMPLETE, "")  # it says itself what it proves
    }


def test_a_restore_that_an_older_server_asks_for_again_stays_as_it_ended(journal: Journal) -> None:
    restored = replace(ENDED, run_id="restore/0", kind=RunKind.RESTORE, status=RunStatus.COMPLETE)
    journal.record(restored)
    before = journal.run("restore/0")
    journal.record(replace(restored, status=RunStatus.FAILED, failure_kind="AlreadyEndedError"))
    assert journal.run("restore/0") == before


def test_a_journal_that_another_program_holds_is_waited_for_in_full_once(tmp_path: Path) -> None:
    journal = Journal(f"sqlite:///{tmp_path}/journal.db", busy_timeout_s=4.0)
    journal.record(RUN)
    with closing(sqlite3.connect(tmp_path / "journal.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waited = []
        for _ in range(2):
            begun = time.monotonic()
            with pytest.raises(JournalUnavailableError, match="held by another program"):
                journal.record(RUN)
            waited.append(time.monotonic() - begun)
        other.execute("ROLLBACK")
    assert waited[0] >= 3.9 > waited[1]
    journal.record(replace(RUN, status=RunStatus.COMPLETE))
    assert [run.status for run in journal.runs(9)] == [RunStatus.COMPLETE]


def test_what_hooks_printed_is_kept_once_for_each(journal: Journal) -> None:
    before = OutputRecord(
        hook="freeze", moment="before", exit_code=0, started_ns=1, ended_ns=2, output="a\0b"
    )
    after = OutputRecord(
        hook="thaw", moment="after", exit_code=-9, timed_out=True, started_ns=3, ended_ns=4, output="c"
    )
    for output in (after, before, after):
        journal.add_output(RUN.run_id, output)
    shown = msgspec.structs.replace(before, output="a\\x00b")  # what databases refuse is escaped
    assert journal.outputs(RUN.run_id) == [shown, after]
    assert journal.outputs("another") == []
