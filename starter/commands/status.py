"""`holdfast status` shows runs that are under way, and how the last ones ended."""

import asyncio
import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import typer
from temporalio.client import Client

from holdfast.contracts.control import ControlState
from holdfast.control import records, updates
from holdfast.control.guard import waiting_guards
from holdfast.control.journal import open_journal
from holdfast.control.listing import ListedRun, RunList, list_runs
from holdfast.control.names import location_of, subject_of
from holdfast.control.runs import server_errors
from holdfast.control.schedules.listing import paused_schedules
from holdfast.errors import JournalUnavailableError, ServerUnavailableError
from holdfast.service.journal.records import RunRecord
from holdfast.service.settings.model import Settings
from holdfast.starter.host.service import find_client
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import CommonOptions
from holdfast.starter.shell.output import tell, warn
from holdfast.starter.shell.table import table
from holdfast.starter.shell.text import local_time, printable
from holdfast.starter.view import control_state
from holdfast.starter.view.details import details, took
from holdfast.starter.view.listing import told
from holdfast.starter.view.meter import Meter
from holdfast.starter.view.words import counts, duration
from holdfast.units import format_bytes

_SHOWN_PATHS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusOptions(CommonOptions):
    """Options of `status`."""

    run: Annotated[
        str, typer.Argument(metavar="[RUN]", help="One run, by its id or its source.", show_default=False)
    ] = ""
    limit: Annotated[int, typer.Option(metavar="N", help="How many runs.", min=1)] = 20


def status(options: StatusOptions) -> int:
    """Show runs: what is under way, how the last ones ended."""
    invocation = Invocation.of(options)
    settings = invocation.settings
    if options.run:
        run, control = asyncio.run(_one(invocation, options.run))
        if options.json:
            more = {} if control is None else {"control": control_state.document(control)}
            return tell(options, _document(settings, run) | more, ())
        return tell(options, {}, _details(settings, run, control))
    listed, asking = asyncio.run(_listed(invocation, options.limit))
    documents = [_document(settings, run) for run in listed.runs]
    return tell(options, documents, [*_table(settings, listed.runs), *_asking(asking)])


def _asking(asking: Sequence[str]) -> list[str]:
    """Beside the runs: guards that ask, and schedules that are paused, of which nothing else is heard."""
    return ["", *asking] if asking else []


async def _listed(invocation: Invocation, limit: int) -> tuple[RunList, list[str]]:
    """The runs, and what else waits for a person."""
    client = await _client(invocation)
    with server_errors():
        listed = told(await list_runs(invocation.settings, invocation.environ, client, limit))
        if client is None:
            return listed, []
        guards = await waiting_guards(client)
        asking = [f"{guard.workflow_id} WAITS: {guard.wait.words} (`holdfast approve`)" for guard in guards]
        asking += [f"schedule {line}" for line in await paused_schedules(client, invocation.settings.host)]
    return listed, asking


async def _one(invocation: Invocation, name: str) -> tuple[ListedRun, ControlState | None]:
    """The run that is meant, and what was asked of it if it is under way."""
    client = await _client(invocation)
    with server_errors():
        run = told(await list_runs(invocation.settings, invocation.environ, client)).find(name)
        return run, None if client is None else await updates.state_of(client, run)


async def _client(invocation: Invocation) -> Client | None:
    try:
        return await find_client(invocation.settings, invocation.environ)
    except ServerUnavailableError as error:
        warn(f"{error.message}; what is shown is the journal's")
        return None


def _table(settings: Settings, listed: Sequence[ListedRun]) -> list[str]:
    rows = [
        (
            run.short_id,
            run.kind.value,
            run.status,
            _subject(settings, run),
            location_of(settings, run.repository),
            local_time(run.record.started_ns) if run.record is not None else "",
            took(run),
            _outcome(run),
        )
        for run in listed
    ]
    header = ("Run", "Kind", "Status", "What", "Repository", "Started", "Took", "Result")
    return table(header, rows, f"{len(rows)} runs")


def _subject(settings: Settings, run: ListedRun) -> str:
    return subject_of(settings, run.kind, run.subject, run.repository)


def _outcome(run: ListedRun) -> str:
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
        verdict = record.verdict
        parts.append("verified" if verdict.ok else f"{verdict.problem_count} PROBLEMS")
    return ", ".join(parts)


def _document(settings: Settings, run: ListedRun) -> dict[str, object]:
    document: dict[str, object] = {} if run.record is None else records.document(settings, run.record)
    document |= {
        "run_id": run.run_id,
        "short_id": run.short_id,
        "workflow_id": run.workflow_id,
        "kind": run.kind.value,
        "status": run.status,
        "repository": location_of(settings, run.repository),
        "subject": _subject(settings, run),
    }
    if run.view is not None and run.view.progress is not None:
        progress = run.view.progress
        document |= {
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
    if run.wait is not None:
        document["waits_for"] = run.wait.document
    return document


def _details(settings: Settings, run: ListedRun, control: ControlState | None) -> list[str]:
    now = [
        ("Result", _outcome(run)),
        ("Next", "" if run.wait is None else run.wait.next_step),
        ("Pace", _pace(run)),
        *(("Asked", line) for line in ([] if control is None else control_state.lines(control))),
    ]
    lines = details(settings, run, status=run.status, now=now)
    return lines if run.record is None else [*lines, *_problems(settings, run.record)]


def _pace(run: ListedRun) -> str:
    """The average rate of one that goes on, and the time that the rest takes at it."""
    progress = None if run.view is None else run.view.progress
    if progress is None or not progress.bytes_per_second:
        return ""
    left = "" if progress.seconds_left is None else f", {duration(progress.seconds_left)} left"
    return f"{format_bytes(progress.bytes_per_second)}/s{left}"


def _problems(settings: Settings, record: RunRecord) -> list[str]:
    found = [] if record.verdict is None else [f"verification: {what}" for what in record.verdict.problems]
    try:
        files = open_journal(settings, os.environ).files(record.run_id, records.TOLD_ACTIONS)
        wrong = itertools.islice(files, _SHOWN_PATHS)
        found += [f"{file.action.value}: {printable(file.path)}: {file.message}" for file in wrong]
    except JournalUnavailableError as error:
        warn(f"the journal cannot be read: {error.message}")
    return found[:_SHOWN_PATHS]
