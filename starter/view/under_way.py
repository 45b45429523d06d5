"""Shows runs that are under way, or were interrupted: a table, one in full, and the document for programs."""

from collections.abc import Sequence
from typing import Final

from holdfast.control import records
from holdfast.control.listing import ListedRun
from holdfast.control.names import location_of, subject_of
from holdfast.service.settings.model import Settings
from holdfast.starter.shell.table import Column, Kind, table
from holdfast.starter.shell.text import local_time
from holdfast.starter.view.details import took
from holdfast.starter.view.meter import Meter
from holdfast.starter.view.words import counts, duration
from holdfast.units import counted, format_bytes

_COLUMNS: Final = (
    Column("Run"),
    Column("Kind", rank=2),
    Column("Status", kind=Kind.STATE),
    Column("What", kind=Kind.PATH),
    Column("Repository", rank=3, kind=Kind.PATH),
    Column("Started", rank=4, kind=Kind.TIME),
    Column("Took", rank=5),
    Column("Stands at", rank=1, kind=Kind.STATE),
)


def lines(settings: Settings, runs: Sequence[ListedRun]) -> list[str]:
    """The table, or a line that says that there is nothing."""
    rows = [
        (
            run.short_id,
            run.kind.value,
            run.status,
            subject_of(settings, run.kind, run.subject, run.repository),
            location_of(settings, run.repository),
            local_time(run.record.started_ns) if run.record is not None else "",
            took(run),
            stands_at(run),
        )
        for run in runs
    ]
    return table(_COLUMNS, rows, f"{counted(len(rows), 'run')} under way" if rows else "no run is under way")


def stands_at(run: ListedRun) -> str:
    """Phase and progress of one that goes on, snapshot or error of one that ended."""
    if run.view is not None:
        reading = Meter().read(run.view.progress)
        done = f"{run.view.phase.value}: {', '.join([f'{reading.fraction:.1%}', *counts(run.view, reading)])}"
        return f"WAITS: {run.wait.words}; {done}" if run.view.stands and run.wait is not None else done
    record = run.record
    if record is None:
        return ""
    parts = [f"snapshot {record.snapshot_id[:8]}"] if record.snapshot_id else []
    parts += [record.failure_kind] if record.failure_kind else []
    if record.verdict is not None:
        problems = counted(record.verdict.problem_count, "PROBLEM", "PROBLEMS")
        parts.append("verified" if record.verdict.ok else problems)
    return ", ".join(parts)


def pace(run: ListedRun) -> str:
    """The average rate of one that goes on, and the time that the rest takes at it."""
    progress = None if run.view is None else run.view.progress
    if progress is None or not progress.bytes_per_second:
        return ""
    left = "" if progress.seconds_left is None else f", {duration(progress.seconds_left)} left"
    return f"{format_bytes(progress.bytes_per_second)}/s{left}"


def document(settings: Settings, run: ListedRun) -> dict[str, object]:
    """A run for programs: its record, and where it stands."""
    known: dict[str, object] = {} if run.record is None else records.document(settings, run.record)
    known |= {
        "run_id": run.run_id,
        "short_id": run.short_id,
        "workflow_id": run.workflow_id,
        "kind": run.kind.value,
        "status": run.status,
        "repository": location_of(settings, run.repository),
        "subject": subject_of(settings, run.kind, run.subject, run.repository),
    }
    if run.view is not None and run.view.progress is not None:
        progress = run.view.progress
        known |= {
            "phase": progress.phase.value,
            "total_files": progress.files_total,
            "files_done": progress.files_done,
            "total_bytes": progress.bytes_total,
            "bytes_done": progress.bytes_done,
            "error_count": progress.errors,
            "paused": progress.paused,
            "bytes_per_second": progress.bytes_per_second,
            "seconds_left": progress.seconds_left,
        }
    return known | ({} if run.wait is None else {"waits_for": run.wait.document})
