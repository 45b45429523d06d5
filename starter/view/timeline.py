"""Shows the runs of a source one after the other, newest first: what each did, how it ended, and why."""

from collections.abc import Sequence
from typing import Final

from holdfast.contracts.identity import short_id
from holdfast.control.names import subject_of
from holdfast.control.records import why
from holdfast.service.journal.records import RunRecord
from holdfast.service.settings.model import Settings
from holdfast.starter.shell.table import Column, Kind, table
from holdfast.starter.shell.text import local_time
from holdfast.terms import RunKind
from holdfast.units import counted, format_bytes, format_duration

_COLUMNS: Final = (
    Column("Started", kind=Kind.TIME),
    Column("Run", rank=1),
    Column("Did", rank=2),
    Column("Status", kind=Kind.STATE),
    Column("Took", rank=3),
    Column("Added", rank=4, kind=Kind.NUMBER),
    Column("Said", kind=Kind.STATE),
)
_WHAT: Final = Column("What", kind=Kind.PATH)


def lines(
    settings: Settings, runs: Sequence[RunRecord], footer: str = "", *, by_source: bool = False
) -> list[str]:
    """The table; a line where there is nothing to show. by_source: with what each was about."""
    columns = [*_COLUMNS[:2], *([_WHAT] if by_source else []), *_COLUMNS[2:]]
    rows = [
        (
            local_time(run.started_ns),
            short_id(run.run_id),
            *([subject_of(settings, run.kind, run.source, run.repository)] if by_source else []),
            f"{run.kind} {run.strategy}".rstrip(),
            run.status.value,
            format_duration(run.duration_ns) if run.ended_ns else "",
            format_bytes(run.totals.data_added_packed) if run.kind is RunKind.BACKUP and run.ended_ns else "",
            said(settings, run),
        )
        for run in runs
    ]
    return table(
        columns, rows, footer or (f"the last {counted(len(rows), 'run')}" if rows else "no run is on record")
    )


def said(settings: Settings, run: RunRecord) -> str:
    """What came of a run: why it failed, what it lacks, its snapshot, its verdict."""
    reason = why(settings, run)
    parts = [] if reason is None else [reason.text]
    parts += [f"snapshot {run.snapshot_id[:8]}"] if run.snapshot_id else []
    if run.verdict is not None and run.verdict.ok:
        parts.append("verified")
    parts += [run.reason] if run.kind is not RunKind.BACKUP and run.reason else []
    return ", ".join(parts)
