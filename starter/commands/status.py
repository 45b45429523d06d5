"""`holdfast status` shows how well each source is backed up, worst first, and what is under way.

It is for monitors too: the exit code is 0 when all is good, 3 when something is partial or waits, 2 when a source is
overdue, failed or was never backed up. 1 says that the command itself has failed.
"""

import asyncio
import contextlib
import itertools
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Final

import typer

from holdfast.control import records
from holdfast.control.journal import open_journal
from holdfast.control.listing import ListedRun, list_runs
from holdfast.control.standing.state import Standing, State
from holdfast.control.standing.survey import Survey, survey
from holdfast.errors import EXIT_COMPLETE, EXIT_PARTIAL, JournalUnavailableError, ServerUnavailableError
from holdfast.service.journal.records import RunRecord
from holdfast.starter.host.service import find_client
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import CommonOptions
from holdfast.starter.shell.output import say_flowed, say_json, warn
from holdfast.starter.shell.table import fields
from holdfast.starter.shell.text import printable
from holdfast.starter.view import control_state, standing, timeline, under_way
from holdfast.starter.view.details import details
from holdfast.starter.view.listing import told

if TYPE_CHECKING:
    from temporalio.client import Client

    from holdfast.contracts.control import ControlState

EXIT_RED: Final = 2
"""A source is overdue, failed, or was never backed up."""
_SHOWN_PATHS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusOptions(CommonOptions):
    """Options of `status`."""

    name: Annotated[
        str,
        typer.Argument(
            metavar="[SOURCE|RUN]", help="Only a source, with its time line; or a run.", show_default=False
        ),
    ] = ""
    everything: Annotated[
        bool, typer.Option("--all", help="Also what is not declared and was not backed up for a month.")
    ] = False
    limit: Annotated[int, typer.Option(metavar="N", help="How many runs of a source's time line.", min=1)] = (
        20
    )


def status(options: StatusOptions) -> int:
    """Show how well each source is backed up, worst first, and what is under way."""
    return asyncio.run(_status(Invocation.of(options), options))


def exit_code(state: State) -> int:
    """What a monitor is told of the worst state."""
    if state.is_red:
        return EXIT_RED
    return EXIT_COMPLETE if state is State.GOOD else EXIT_PARTIAL


async def _status(invocation: Invocation, options: StatusOptions) -> int:
    settings, now_ns = invocation.settings, time.time_ns()
    client = await _client(invocation)
    with _server_errors(client):
        found = await survey(
            settings, invocation.environ, client, now_ns, everything=options.everything or bool(options.name)
        )
        if options.name:
            meant = [one for one in found.standings if _is_meant(invocation, one, options.name)]
            if not meant:
                return await _run(invocation, options, client)
            return await _source(invocation, options, client, replace(found, standings=meant), now_ns)
    if options.json:
        say_json(_document(invocation, found, now_ns))
    else:
        running = under_way.lines(settings, found.under_way)
        say_flowed([*standing.lines(settings, found, now_ns), "", *running])
    return exit_code(found.worst)


async def _source(
    invocation: Invocation, options: StatusOptions, client: "Client | None", found: Survey, now_ns: int
) -> int:
    """A source in full: how it stands in each repository, its last runs, and what is under way."""
    settings = invocation.settings
    journal = open_journal(settings, invocation.environ)
    parts: list[str] = []
    documents: list[dict[str, object]] = []
    for one in found.standings:
        subject = one.facts.subject
        runs = journal.runs(options.limit, source=subject.source, repositories=[subject.repository])
        running = [
            run
            for run in found.under_way
            if (run.repository, run.subject) == (subject.repository, subject.source)
        ]
        states = [None if client is None else await _control(client, run) for run in running]
        documents.append(
            standing.document(settings, one, now_ns)
            | {
                "runs": [records.document(settings, run) for run in runs],
                "under_way": [_run_document(invocation, *one) for one in zip(running, states, strict=True)],
            }
        )
        parts += [*fields(standing.in_full(settings, one, now_ns), states=("State",)), ""]
        troubles = standing.troubles(settings, one)
        parts += [*troubles, *([""] if troubles else []), *timeline.lines(settings, runs)]
        for run, control in zip(running, states, strict=True):
            parts += ["", *_in_full(invocation, run, control)]
    if options.json:
        say_json({"message_type": "status", "state": found.worst.value, "sources": documents})
    else:
        say_flowed(parts)
    return exit_code(found.worst)


async def _run(invocation: Invocation, options: StatusOptions, client: "Client | None") -> int:
    """One run, by its id or the end of that, or by what it is about."""
    settings = invocation.settings
    run = told(await list_runs(settings, invocation.environ, client)).find(options.name)
    control = None if client is None else await _control(client, run)
    if options.json:
        say_json(_run_document(invocation, run, control))
    else:
        say_flowed(_in_full(invocation, run, control))
    return EXIT_COMPLETE


async def _client(invocation: Invocation) -> "Client | None":
    try:
        return await find_client(invocation.settings, invocation.environ)
    except ServerUnavailableError as error:
        warn(f"{error.message}; what is shown is the journal's")
        return None


async def _control(client: "Client", run: ListedRun) -> "ControlState | None":
    """What was asked of a run, if it is under way."""
    from holdfast.control.updates import state_of  # noqa: PLC0415 - brings Temporal's client, which is there by now

    return await state_of(client, run)


def _server_errors(client: "Client | None") -> contextlib.AbstractContextManager[None]:
    """Around calls to the server, if there is one: what it answers in place of an answer, as one of our errors."""
    if client is None:
        return contextlib.nullcontext()
    from holdfast.control.runs import server_errors  # noqa: PLC0415 - as above

    return server_errors()


def _is_meant(invocation: Invocation, one: Standing, name: str) -> bool:
    return name in {one.facts.subject.source, standing.name_of(invocation.settings, one)}


def _document(invocation: Invocation, found: Survey, now_ns: int) -> dict[str, object]:
    settings = invocation.settings
    return {
        "message_type": "status",
        "state": found.worst.value,
        "sources": [standing.document(settings, one, now_ns) for one in found.standings],
        "runs": [under_way.document(settings, run) for run in found.under_way],
    }


def _run_document(
    invocation: Invocation, run: ListedRun, control: "ControlState | None"
) -> dict[str, object]:
    known = under_way.document(invocation.settings, run)
    return known | ({} if control is None else {"control": control_state.document(control)})


def _in_full(invocation: Invocation, run: ListedRun, control: "ControlState | None") -> list[str]:
    settings = invocation.settings
    asked = [] if control is None else control_state.lines(control)
    now = [
        ("Result", under_way.stands_at(run)),
        ("Next", "" if run.wait is None else run.wait.next_step),
        ("Pace", under_way.pace(run)),
        *(("Asked", line) for line in asked),
    ]
    lines = details(settings, run, status=run.status, now=now)
    return lines if run.record is None else [*lines, *_problems(invocation, run.record)]


def _problems(invocation: Invocation, record: RunRecord) -> list[str]:
    found = [] if record.verdict is None else [f"verification: {what}" for what in record.verdict.problems]
    try:
        files = open_journal(invocation.settings, invocation.environ).files(
            record.run_id, records.TOLD_ACTIONS
        )
        wrong = itertools.islice(files, _SHOWN_PATHS)
        found += [f"{file.action.value}: {printable(file.path)}: {file.message}" for file in wrong]
    except JournalUnavailableError as error:
        warn(f"the journal cannot be read: {error.message}")
    return found[:_SHOWN_PATHS]
