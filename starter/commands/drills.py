"""`holdfast drills` shows what the trial restores have proven, and what has never been proven restorable."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import typer

from holdfast.control.drills import is_proof, last_proofs, outcome, unproven
from holdfast.control.journal import open_journal
from holdfast.control.records import refuse_unknown_source
from holdfast.errors import EXIT_COMPLETE
from holdfast.service.journal.records import RunRecord
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import CommonOptions
from holdfast.starter.shell.output import say_flowed, say_json, warn
from holdfast.starter.shell.table import Column, Kind, table
from holdfast.starter.shell.text import local_time, named_time
from holdfast.terms import RunKind
from holdfast.units import NS_PER_MS, NS_PER_S, counted, format_age, format_bytes

_SEARCHED: Final = 10_000
"""So many drills are looked through for the last proof of each source."""
_COLUMNS: Final = (
    Column("Drill", 3, Kind.PATH),
    Column("Source", 0, Kind.PATH),
    Column("When", 1, Kind.TIME),
    Column("Sample", 6),
    Column("Snapshot", 5),
    Column("Restored", 7, Kind.NUMBER),
    Column("Recovery", 4),
    Column("Data age", 4),
    Column("Result", 0, Kind.STATE),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillsOptions(CommonOptions):
    """Options of `drills`."""

    source: Annotated[str, typer.Option(metavar="NAME", help="Only of this source.", show_default=False)] = ""
    limit: Annotated[int, typer.Option(metavar="N", help="How many drills.", min=1)] = 20


def drills(options: DrillsOptions) -> int:
    """Show what drills have proven, and which sources have never been proven restorable."""
    invocation = Invocation.of(options)
    settings = invocation.settings
    journal = open_journal(settings, invocation.environ)
    if options.source:
        refuse_unknown_source(settings, journal, options.source)
    found = journal.runs(_SEARCHED, source=options.source or None, kind=RunKind.DRILL)
    lacking = [name for name in unproven(settings, found) if options.source in {"", name}]
    if options.json:
        say_json(
            {
                "drills": [_document(run) for run in found[: options.limit]],
                "never_proven": lacking,
                "last_proven": {name: run.started_ns for name, run in last_proofs(found).items()},
            }
        )
        return EXIT_COMPLETE
    say_flowed(_table(found[: options.limit]))
    say_flowed(
        f"{name}: last proven restorable {named_time(run.started_ns)}, from snapshot {run.snapshot_id[:8]}"
        for name, run in sorted(last_proofs(found).items())
    )
    for name in lacking:
        warn(f"{name}: NEVER proven restorable; `holdfast drill {name}` tries it")
    return EXIT_COMPLETE


def _table(found: Sequence[RunRecord]) -> list[str]:
    rows = [
        (
            run.strategy or "-",
            run.source,
            local_time(run.started_ns),
            run.reason,
            run.snapshot_id[:8],
            format_bytes(run.counters.get("bytes_restored", 0)),
            _recovery(run),
            _age(run),
            outcome(run),
        )
        for run in found
    ]
    return table(_COLUMNS, rows, counted(len(rows), "drill"))


def _recovery(run: RunRecord) -> str:
    """The estimate for everything, against its goal."""
    if not run.counters.get("estimated_recovery_ms"):
        return ""
    took = format_age(run.counters["estimated_recovery_ms"] * NS_PER_MS)
    return took + _of_goal(run.counters.get("rto_goal_s", 0))


def _age(run: RunRecord) -> str:
    if "data_age_s" not in run.counters:
        return ""
    age = format_age(run.counters["data_age_s"] * NS_PER_S)
    return age + _of_goal(run.counters.get("rpo_goal_s", 0))


def _of_goal(goal_s: int) -> str:
    return f" of {format_age(goal_s * NS_PER_S)}" if goal_s else ""


def _document(run: RunRecord) -> dict[str, object]:
    return {
        "run_id": run.run_id,
        "drill": run.strategy,
        "source": run.source,
        "sample": run.reason,
        "snapshot_id": run.snapshot_id,
        "started_ns": run.started_ns,
        "ended_ns": run.ended_ns,
        "status": run.status.value,
        "outcome": outcome(run),
        "proven": is_proof(run),
        "counters": dict(run.counters),
        "problems": [] if run.verdict is None else list(run.verdict.problems),
    }
