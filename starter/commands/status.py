"""`holdfast status`: runs that are under way, and how the last ones ended."""

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import typer
from temporalio.client import Client

from activities.waiting import waiting_runs
from contracts.control import ControlState
from contracts.guard import GUARD_WORKFLOW
from contracts.veiled import REPOSITORY
from control import listing, records, steering
from control.journal import open_journal
from control.listing import ListedRun
from control.runs import handle_of, server_errors
from holdfast.errors import EXIT_COMPLETE, JournalUnavailableError, ServerUnavailableError
from holdfast.units import NS_PER_S, format_bytes
from service.journal.records import RunRecord
from service.settings.model import Settings
from starter.runs.conduct import find_client
from starter.schedules.standing import paused_schedules
from starter.shell.invocation import Invocation
from starter.shell.options import CommonOptions
from starter.shell.output import say, say_json, warn
from starter.shell.text import local_time, printable, table
from starter.view.display import counts, duration
from starter.view.meter import Meter
from starter.view.progress import Trouble
from starter.view.reports import WRONG

_SHOWN_PATHS: Final = 20
_SEARCHED: Final = 1000


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
            more = {} if control is None else {"control": steering.document(control)}
            say_json(_document(settings, run) | more)
        else:
            for line in _details(settings, run, control):
                say(line)
        return EXIT_COMPLETE
    listed, asking = asyncio.run(_listed(invocation, options.limit))
    if options.json:
        say_json([_document(settings, run) for run in listed])
        return EXIT_COMPLETE
    for line in [*_table(settings, listed), *_asking(asking)]:
        say(line)
    return EXIT_COMPLETE


def _asking(asking: Sequence[str]) -> list[str]:
    """Beside the runs: guards that ask, and schedules that are paused, of which nothing else is heard."""
    return ["", *asking] if asking else []


async def _listed(invocation: Invocation, limit: int) -> tuple[list[ListedRun], list[str]]:
    """The runs, and what else waits for a person."""
    client = await _client(invocation)
    with server_errors():
        listed = await listing.listed_runs(invocation.settings, client, limit)
        if client is None:
            return listed, []
        guards = [run async for run in waiting_runs(client, kinds=(GUARD_WORKFLOW,))]
        asking = [f"{run.workflow_id} WAITS: {run.reason} (`holdfast approve`)" for run in guards]
        asking += [f"schedule {line}" for line in await paused_schedules(client, invocation.settings.host)]
    return listed, asking


async def _one(invocation: Invocation, name: str) -> tuple[ListedRun, ControlState | None]:
    """The run that is meant, and what was asked of it if it is under way."""
    client = await _client(invocation)
    with server_errors():
        run = listing.find_run(await listing.listed_runs(invocation.settings, client, _SEARCHED), name)
        if client is None or run.view is None or run.kind not in steering.STEERED:
            return run, None
        return run, await steering.state_of(handle_of(client, run.kind, run.workflow_id))


async def _client(invocation: Invocation) -> Client | None:
    try:
        return await find_client(invocation)
    except ServerUnavailableError as error:
        warn(f"{error.message}; what is shown is the journal's")
        return None


def _table(settings: Settings, listed: Sequence[ListedRun]) -> list[str]:
    rows = [
        (
            run.short_id,
            run.kind.value,
            run.status,
            listing.describe(settings, run),
            listing.location_of(settings, run),
            local_time(run.record.started_ns) if run.record is not None else "",
            _duration(run),
            _outcome(settings, run),
        )
        for run in listed
    ]
    header = ("Run", "Kind", "Status", "What", "Repository", "Started", "Took", "Result")
    return table(header, rows, f"{len(rows)} runs")


def _duration(run: ListedRun) -> str:
    if run.record is None:
        return ""
    if run.view is not None:
        return duration(max(0, time.time_ns() - run.record.started_ns) / NS_PER_S)
    return duration(run.record.duration_ns / NS_PER_S) if run.record.ended_ns else ""


def _outcome(settings: Settings, run: ListedRun) -> str:
    """Phase and progress of one that goes on, snapshot or error of one that ended."""
    if run.view is not None:
        reading = Meter().read(run.view.progress)
        done = f"{run.view.phase.value}: {', '.join([f'{reading.fraction:.1%}', *counts(run.view, reading)])}"
        return (
            f"WAITS: {_trouble(settings, run, run.view.trouble)}; {done}"
            if run.view.trouble is not None
            else done
        )
    record = run.record
    if record is None:
        return ""
    parts = [f"snapshot {record.snapshot_id[:8]}"] if record.snapshot_id else []
    parts += [record.failure_kind] if record.failure_kind else []
    if record.verdict is not None:
        verdict = record.verdict
        parts.append("verified" if verdict.ok else f"{verdict.problem_count} PROBLEMS")
    return ", ".join(parts)


def _trouble(settings: Settings, run: ListedRun, trouble: Trouble) -> str:
    """Why a step is tried again, on one line."""
    reason = trouble.message.partition("\n")[0].replace(REPOSITORY, listing.location_of(settings, run))
    return f"{reason} (tried {trouble.attempt:,} times)"


def _document(settings: Settings, run: ListedRun) -> dict[str, object]:
    document: dict[str, object] = {} if run.record is None else records.document(settings, run.record)
    document |= {
        "run_id": run.run_id,
        "short_id": run.short_id,
        "workflow_id": run.workflow_id,
        "kind": run.kind.value,
        "status": run.status,
        "repository": listing.location_of(settings, run),
        "subject": listing.describe(settings, run),
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
    if run.view is not None and run.view.trouble is not None:
        document["waits_for"] = _trouble(settings, run, run.view.trouble)
    return document


def _details(settings: Settings, run: ListedRun, control: ControlState | None) -> list[str]:
    pairs = [
        ("Run", run.run_id),
        ("Kind", run.kind.value),
        ("Status", run.status),
        ("What", listing.describe(settings, run)),
        ("Repository", listing.location_of(settings, run)),
        ("Result", _outcome(settings, run)),
        ("Pace", _pace(run)),
        *(("Asked", line) for line in ([] if control is None else steering.words(control))),
    ]
    record = run.record
    if record is not None:
        asked = " ".join(filter(None, (record.trigger_kind, record.trigger_by, record.trigger_evidence)))
        pairs += [
            ("Asked by", asked),
            ("Host", record.host),
            ("Strategy", f"{record.strategy} ({record.reason})" if record.reason else record.strategy),
            ("Parent", record.parent),
            ("Started", local_time(record.started_ns)),
            ("Ended", local_time(record.ended_ns) if record.ended_ns else ""),
            ("Took", _duration(run)),
        ]
        pairs += [(name, f"{count:,}") for name, count in record.counters.items() if count]
    width = max(len(name) for name, _ in pairs)
    lines = [f"{name:<{width}}  {value}" for name, value in pairs if value]
    return lines if record is None else [*lines, *_problems(settings, record)]


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
        wrong = itertools.islice(open_journal(settings).files(record.run_id, WRONG), _SHOWN_PATHS)
        found += [f"{file.action.value}: {printable(file.path)}: {file.message}" for file in wrong]
    except JournalUnavailableError as error:
        warn(f"the journal cannot be read: {error.message}")
    return found[:_SHOWN_PATHS]
