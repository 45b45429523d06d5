"""The decisions of the command line that need no process: which run goes on, what is listed, how fast it goes."""

import json
from dataclasses import replace

import pytest

from holdfast.contracts.common import Phase, Progress
from holdfast.contracts.control import Throttle
from holdfast.contracts.identity import workflow_of
from holdfast.contracts.repair import RepairFinished, RepairResult
from holdfast.contracts.restore import RestoreResult
from holdfast.contracts.waiting import WaitsFor
from holdfast.control.continuation import CONTINUED_WITHIN_NS, interrupted, to_continue
from holdfast.control.listing import ListedRun, RunList
from holdfast.control.progress import RunView
from holdfast.service.journal.records import RunRecord, VerdictRecord
from holdfast.service.waits import Wait
from holdfast.starter.commands.ls import Wanted, permissions
from holdfast.starter.shell.table import table
from holdfast.starter.shell.text import json_text, printable
from holdfast.starter.view.meter import Meter, Reading
from holdfast.starter.view.results.repair import words as of_repair
from holdfast.starter.view.results.restore import words as of_restore
from holdfast.starter.view.words import counts, one_line
from holdfast.terms import RepairKind, RestoreTotals, RunKind, RunStatus

NOW_NS = 10**18


def record(
    status: RunStatus,
    *,
    run: str = "backup:host:main:home/run-1",
    ended_ns: int = 0,
    reason: str = "asked for",
) -> RunRecord:
    return RunRecord(
        run_id=run,
        kind=RunKind.BACKUP,
        status=status,
        repository="main",
        source=workflow_of(run).rpartition(":")[2],
        reason=reason,
        started_ns=NOW_NS - 10**9,
        ended_ns=ended_ns,
    )


@pytest.mark.parametrize(
    ("status", "ended_ns", "goes_on"),
    [
        (RunStatus.RUNNING, 0, True),
        (RunStatus.CANCELLED, NOW_NS - 1, True),
        (RunStatus.FAILED, NOW_NS - 1, True),
        (RunStatus.FAILED, NOW_NS - CONTINUED_WITHIN_NS, False),
        (RunStatus.COMPLETE, NOW_NS - 1, False),
        (RunStatus.PARTIAL, NOW_NS - 1, False),
    ],
)
def test_a_backup_goes_on_with_what_was_interrupted_within_a_day(
    status: RunStatus, ended_ns: int, *, goes_on: bool
) -> None:
    newest = record(status, ended_ns=ended_ns)
    assert (to_continue(newest, is_open=False, now_ns=NOW_NS) is newest) is goes_on


def test_nothing_goes_on_beside_an_open_run_or_before_the_run_was_opened() -> None:
    failed = record(RunStatus.FAILED, ended_ns=NOW_NS)
    assert to_continue(failed, is_open=True, now_ns=NOW_NS) is None
    assert (
        to_continue(record(RunStatus.FAILED, ended_ns=NOW_NS, reason=""), is_open=False, now_ns=NOW_NS)
        is None
    )
    assert to_continue(None, is_open=False, now_ns=NOW_NS) is None


@pytest.mark.parametrize(
    ("kind", "ours"),
    [
        ("RunStateError", True),
        ("CorruptFileError", True),
        ("TimeoutError", True),
        ("KeyError", True),
        ("HookFailedError", False),
        ("StorageFullError", False),
        ("WrongPasswordError", False),
        ("Interrupted", False),
    ],
)
def test_a_run_that_failed_by_a_fault_of_ours_is_continued_once(kind: str, *, ours: bool) -> None:
    failed = replace(record(RunStatus.FAILED, ended_ns=NOW_NS - 1), failure_kind=kind)
    again = replace(failed, run_id="backup:host:main:home/2", resumes=failed.run_id, reason="")
    assert to_continue(failed, is_open=False, now_ns=NOW_NS) is failed
    assert to_continue(again, is_open=False, now_ns=NOW_NS) is (None if ours else again)
    assert again.workspace_id == failed.run_id


def test_only_a_lost_restore_is_continued_and_nothing_that_was_judged() -> None:
    """Its target may have changed since it ended; and a run with a verdict has taken all its steps."""
    cancelled = replace(
        record(RunStatus.CANCELLED, ended_ns=NOW_NS - 1), kind=RunKind.RESTORE, snapshot_id="ab"
    )
    lost = replace(cancelled, status=RunStatus.RUNNING, ended_ns=0)
    assert to_continue(cancelled, is_open=False, now_ns=NOW_NS, only_lost=True) is None
    assert to_continue(lost, is_open=False, now_ns=NOW_NS, only_lost=True) is lost
    judged = replace(
        record(RunStatus.FAILED, ended_ns=NOW_NS - 1), verdict=VerdictRecord(level="full", ok=False)
    )
    assert to_continue(judged, is_open=False, now_ns=NOW_NS) is None
    assert interrupted([judged], ()) == []


def test_a_run_that_was_stopped_after_a_sound_verdict_can_be_resumed() -> None:
    """Ctrl-C while it removes its workspace. The next backup of its source is a new one: all of it was read."""
    stopped = replace(
        record(RunStatus.CANCELLED, ended_ns=NOW_NS - 1), verdict=VerdictRecord(level="structure", ok=True)
    )
    assert interrupted([stopped], ()) == [stopped]
    assert to_continue(stopped, is_open=False, now_ns=NOW_NS) is None


def test_resume_means_the_newest_run_of_each_source_that_did_not_reach_its_end() -> None:
    records = [
        record(RunStatus.COMPLETE, run="backup:host:main:home/3"),
        record(RunStatus.CANCELLED, run="backup:host:main:home/2", ended_ns=1),
        record(RunStatus.FAILED, run="backup:host:main:mail/1", ended_ns=1),
        record(RunStatus.FAILED, run="backup:host:main:none/1", ended_ns=1, reason=""),
    ]
    assert [found.run_id for found in interrupted(records, ())] == ["backup:host:main:mail/1"]
    opened = interrupted(records, ("backup:host:main:none",))
    assert [found.source for found in opened] == ["mail", "none"]


def test_runs_are_found_by_the_end_of_their_id_or_by_their_source() -> None:
    listed = [
        ListedRun(run_id=found.run_id, kind=found.kind, record=found)
        for found in (
            record(RunStatus.RUNNING, run="backup:host:main:home/0000-aaaa1111"),
            record(RunStatus.COMPLETE, run="backup:host:main:home/0000-bbbb1111"),
        )
    ]
    assert RunList(runs=listed).find("bbbb1111") is listed[1]
    assert RunList(runs=listed).find("home") is listed[0]
    assert RunList(runs=listed).find(listed[1].run_id) is listed[1]
    assert listed[0].status == "interrupted"
    for unknown in ("1111", "cccc", ""):
        with pytest.raises(Exception, match=r"several runs|no run and no source"):
            RunList(runs=listed).find(unknown)


def test_the_meter_knows_the_rate_of_the_last_seconds_and_what_is_left() -> None:
    now = 0.0
    meter = Meter(clock=lambda: now)

    def progress(done: int) -> Progress:
        return Progress(
            run_id="run", phase=Phase.EXECUTE, selection_complete=True, bytes_total=1000, bytes_done=done
        )

    assert meter.read(progress(0)).bytes_per_s is None
    now = 10.0
    reading = meter.read(progress(100))
    assert (reading.bytes_per_s, reading.seconds_left, reading.fraction) == (10.0, 90.0, 0.1)
    now = 20.0
    reading = meter.read(progress(600))
    assert reading.bytes_per_s == 50.0
    assert "8 left" in " ".join(counts(RunView(progress=progress(600)), reading))


def test_a_pause_or_another_throttle_is_no_part_of_the_rate() -> None:
    now = 0.0
    meter = Meter(clock=lambda: now)

    def read(at: float, done: int, throttle: int = 0, *, paused: bool = False) -> Reading:
        nonlocal now
        now = at
        progress = Progress(
            run_id="run",
            phase=Phase.EXECUTE,
            selection_complete=True,
            bytes_total=10_000,
            bytes_done=done,
            paused=paused,
            throttle=Throttle(bytes_per_second=throttle),
        )
        return meter.read(progress)

    read(0, 0)
    assert read(10, 1000).bytes_per_s == 100.0
    paused = read(12, 1100, paused=True)
    assert (paused.bytes_per_s, paused.seconds_left) == (None, None)
    assert read(22, 2000).bytes_per_s == 90.0, "since the last look at the pause"
    assert read(23, 2100, throttle=50).bytes_per_s is None
    slow = read(25, 2300, throttle=50)
    assert (slow.bytes_per_s, slow.seconds_left) == (100.0, (10_000 - 2300) / 50)


def test_the_line_of_a_run_that_waits_says_why() -> None:
    running = Progress(run_id="run", phase=Phase.EXECUTE, errors=1, waits_for="x")
    full = RunView(progress=running, wait=Wait(what=WaitsFor.FULL_DISK, detail="no room", attempts=3))
    reading = Meter(clock=lambda: 0.0).read(running, stands=full.stands)
    assert one_line(full, reading) == (
        "[0:00:00] execute: 0.0%, 0/0+ files, 0 B/0 B+, 1 error, waits: full disk: no room (tried 3 times)"
    )
    slow = RunView(progress=running, wait=Wait(what=WaitsFor.THROTTLE, detail="1.0 MiB/s"))
    assert one_line(slow, reading).endswith("1 error, throttle: 1.0 MiB/s")


def test_a_growing_total_is_marked_and_never_done() -> None:
    growing = Progress(
        run_id="run", phase=Phase.SELECT, files_total=5, files_done=5, bytes_total=9, bytes_done=9
    )
    reading = Meter().read(growing)
    assert reading.fraction < 1.0
    assert counts(RunView(progress=growing), reading)[0] == "5/5+ files"


def test_names_of_any_bytes_stay_on_their_line() -> None:
    assert printable(b"/a b/\xff\n\x1b[2J") == "/a b/\\xff\\n\\x1b[2J"
    assert json_text(b"\xff\xfea") == "\ufffd\ufffda"
    assert json.loads(json.dumps(json_text("ü".encode()))) == "ü"


def test_tables_are_drawn_as_restic_draws_them() -> None:
    assert table(("ID", "Tags"), [("1", "a\nbcdef")], "1 snapshot") == [
        "ID  Tags",
        "---------",
        "1   a",
        "    bcdef",
        "---------",
        "1 snapshot",
    ]


def test_modes_are_shown_as_go_shows_them() -> None:
    assert permissions(0o644) == "-rw-r--r--"
    assert permissions(1 << 31 | 1 << 20 | 0o755) == "dtrwxr-xr-x"
    assert permissions(1 << 23 | 0o755) == "urwxr-xr-x"
    assert permissions(1 << 26 | 1 << 21 | 0o666) == "Dcrw-rw-rw-"


def test_listing_a_directory_shows_its_entries_and_not_theirs() -> None:
    wanted = Wanted(("/a/b", "c/"), recursive=False)
    assert [path for path in (b"/a", b"/a/b", b"/a/b/x", b"/a/bc", b"/c") if wanted.lists(path)] == [
        b"/a/b",
        b"/a/b/x",
        b"/c",
    ]
    assert [path for path in (b"/a", b"/a/b", b"/a/b/x", b"/d", b"/c") if wanted.descends(path)] == [
        b"/a",
        b"/a/b",
        b"/c",
    ]
    assert Wanted(("/a",), recursive=True).descends(b"/a/b/x")
    assert Wanted((), recursive=False).descends(b"/anything")


def test_dry_runs_speak_in_the_conditional() -> None:
    totals = RestoreTotals(files=1, bytes_total=2048, bytes_to_write=1024, files_deleted=2)
    result = RestoreResult(run_id="r", status=RunStatus.COMPLETE, snapshot_id="ab" * 32, totals=totals)
    would = "\n".join(of_restore(replace(result, dry_run=True)).lines)
    assert "looked at 1 file, 2.0 KiB: would write 1.0 KiB" in would
    assert "would delete 2" in would
    assert "restored" not in would
    assert "restored 0 of 1 file" in "\n".join(of_restore(result).lines)
    repaired = RepairResult(
        run_id="r",
        status=RunStatus.COMPLETE,
        what=RepairKind.PACKS,
        dry_run=True,
        finished=RepairFinished(packs_read=2, packs_removed=1),
    )
    assert "1 damaged pack would be removed" in "\n".join(of_repair(repaired).lines)
    assert "1 damaged pack was removed" in "\n".join(of_repair(replace(repaired, dry_run=False)).lines)
