"""`holdfast schedule` applies the schedules that holdfast.toml declares, and lists and steers those on the server."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated, Final

import typer
from temporalio.client import Client

from holdfast.contracts.veiled import in_words
from holdfast.control import records
from holdfast.control.journal import open_journal
from holdfast.control.runs import server_errors
from holdfast.control.schedules import actions
from holdfast.control.schedules.declaration import declarations
from holdfast.control.schedules.listing import (
    ListedSchedule,
    find_schedule,
    list_schedules,
    no_schedule,
    planned,
)
from holdfast.control.schedules.plan import PlannedStep, Step
from holdfast.control.schedules.server import carry_out_all
from holdfast.errors import EXIT_COMPLETE, JournalUnavailableError, UsageError
from holdfast.service.journal.records import RunRecord
from holdfast.starter.host.service import Need, open_service
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import CommonOptions
from holdfast.starter.shell.output import say, say_flowed, say_json, tell, tell_done, warn
from holdfast.starter.shell.registration import add_command
from holdfast.starter.shell.table import Column, Kind, table
from holdfast.starter.shell.text import local_time
from holdfast.starter.view.timeline import said
from holdfast.units import NS_PER_S, counted

app: Final = typer.Typer(help="Apply, list and steer schedules.", no_args_is_help=False)
_MARKS: Final = {Step.CREATE: "+", Step.CHANGE: "~", Step.DELETE: "-"}
_SHOWN_TIMES: Final = 10
_COLUMNS: Final = (
    Column("Schedule", 0, Kind.PATH),
    Column("Does", 3),
    Column("Next", 1, Kind.TIME),
    Column("Last", 2, Kind.TIME),
    Column("Ended", 1, Kind.STATE),
    Column("Runs", 4, Kind.NUMBER),
    Column("Skipped", 5, Kind.NUMBER),
    Column("Missed", 5, Kind.NUMBER),
    Column("State", 2, Kind.STATE),
)
_NEXT_COLUMNS: Final = (Column("Next", 0, Kind.TIME), Column("Schedule", 0, Kind.PATH))


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyOptions(CommonOptions):
    """Options of `schedule apply`."""

    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Show the plan; change nothing.")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedOptions(CommonOptions):
    """Which schedule is meant."""

    schedule: Annotated[str, typer.Argument(metavar="SOURCE.NAME", help="A schedule, as `list` shows it.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotedOptions(NamedOptions):
    """And why."""

    note: Annotated[str, typer.Option(metavar="TEXT", help="Why; the server keeps it.")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NextOptions(CommonOptions):
    """Options of `schedule next`."""

    schedule: Annotated[
        str, typer.Argument(metavar="[SOURCE.NAME]", help="Only this one.", show_default=False)
    ] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillOptions(NamedOptions):
    """Options of `schedule backfill`."""

    since: Annotated[str, typer.Option(metavar="TIME", help="From here, like 2026-01-31T00:00.")] = ""
    until: Annotated[str, typer.Option(metavar="TIME", help="To here; else now.")] = ""


def apply(options: ApplyOptions) -> int:
    """Make the server's schedules those of holdfast.toml; show the plan and ask before anything changes."""
    return asyncio.run(_apply(Invocation.of(options), options))


def list_(options: CommonOptions) -> int:
    """List this host's schedules."""
    return asyncio.run(_list(Invocation.of(options), options))


def pause(options: NotedOptions) -> int:
    """Let a schedule's times pass until it is resumed."""
    return _steer(options, lambda client, name: actions.pause(client, name, options.note), "is paused")


def resume(options: NotedOptions) -> int:
    """Let a paused schedule run again."""
    return _steer(options, lambda client, name: actions.resume(client, name, options.note), "is resumed")


def trigger(options: NamedOptions) -> int:
    """Run a schedule once, now."""
    return _steer(options, actions.trigger, "runs now")


def delete(options: NamedOptions) -> int:
    """Remove a schedule from the server; `apply` brings it back while holdfast.toml declares it."""
    return _steer(options, actions.delete, "is deleted")


def backfill(options: BackfillOptions) -> int:
    """Run the times of a schedule that lie in the past, one after the other."""
    since = _moment("--since", options.since)
    until = _moment("--until", options.until) if options.until else datetime.now(UTC)
    if since >= until:
        raise UsageError("--since lies after --until", hint="Exchange the two.")
    return _steer(
        options,
        lambda client, name: actions.backfill(client, name, since, until),
        "makes up for that time",
    )


def next_times(options: NextOptions) -> int:
    """Show when schedules run next."""
    return asyncio.run(_next(Invocation.of(options), options))


add_command(app, "apply", apply)
add_command(app, "list", list_)
add_command(app, "next", next_times)
add_command(app, "pause", pause)
add_command(app, "resume", resume)
add_command(app, "trigger", trigger)
add_command(app, "backfill", backfill)
add_command(app, "delete", delete)


async def _apply(invocation: Invocation, options: ApplyOptions) -> int:
    declarations(invocation.settings)  # what is wrong with them is told before a server is started
    async with _client(invocation) as client:
        steps = await planned(client, invocation.settings)
        _tell_plan(options, steps)
        if not steps or options.dry_run:
            return EXIT_COMPLETE
        if not options.yes:
            _ask(steps)
        await carry_out_all(client, steps)
    if not options.quiet and not options.json:
        say(f"{counted(len(steps), 'change')} applied")
    return EXIT_COMPLETE


def _tell_plan(options: ApplyOptions, steps: Sequence[PlannedStep]) -> None:
    if options.json:
        say_json(
            {
                "message_type": "plan",
                "steps": [
                    {"step": step.step.value, "id": step.id, "differences": list(step.differences)}
                    for step in steps
                ],
            }
        )
        return
    lines = [] if steps else ["the server's schedules are those of the settings; nothing to do"]
    for step in steps:
        lines.append(f"{_MARKS[step.step]} {step.step.value} {step.id}")
        lines += [f"    {difference}" for difference in step.differences]
    if steps and options.dry_run:
        lines.append(f"{counted(len(steps), 'change')} would be made")
    say_flowed(lines)


def _ask(steps: Sequence[PlannedStep]) -> None:
    """Ask the person at the terminal.

    Raises:
        UsageError: nobody is there, or the answer is no.
    """
    if not sys.stdin.isatty():
        raise UsageError("nobody is there to say yes", hint="Give --yes to apply the plan without asking.")
    if not typer.confirm(f"apply {counted(len(steps), 'change')}?"):
        raise UsageError("nothing was changed", hint="Repeat the command to see the plan again.")


async def _list(invocation: Invocation, options: CommonOptions) -> int:
    async with _client(invocation) as client:
        found = await list_schedules(client, invocation.settings)
    settings, last = invocation.settings, _last_runs(invocation, found)
    rows = [
        (
            schedule.name,
            f"{schedule.kind} {schedule.strategy}".rstrip(),
            _local(schedule.next_times[0]) if schedule.next_times and not schedule.paused else "",
            "" if run is None else local_time(run.started_ns),
            "" if run is None else ": ".join(filter(None, (run.status.value, said(settings, run)))),
            f"{schedule.runs:,}",
            f"{schedule.skipped:,}",
            f"{schedule.missed:,}",
            _state(schedule),
        )
        for schedule, run in zip(found, last, strict=True)
    ]
    lines = table(_COLUMNS, rows, counted(len(rows), "schedule"))
    documents = [
        _document(schedule) | {"last_run": None if run is None else records.document(settings, run)}
        for schedule, run in zip(found, last, strict=True)
    ]
    return tell(options, documents, lines)


def _last_runs(invocation: Invocation, found: Sequence[ListedSchedule]) -> list[RunRecord | None]:
    """The newest run on record of each schedule."""
    try:
        journal = open_journal(invocation.settings, invocation.environ)
        return [journal.last_asked_by(schedule.id) for schedule in found]
    except JournalUnavailableError as error:
        warn(f"the journal cannot be read: {error.message}")
        return [None] * len(found)


def _document(schedule: ListedSchedule) -> dict[str, object]:
    document = asdict(schedule)
    del document["name"], document["next_times"], document["wait"]
    waits = {} if schedule.wait is None else {"waits_for": schedule.wait.told(in_words).document}
    return document | {"next": _next_of(schedule)} | waits


def _next_of(schedule: ListedSchedule) -> str:
    return _iso(schedule.next_times[0]) if schedule.next_times else ""


def _state(schedule: ListedSchedule) -> str:
    parts = [f"paused: {schedule.note}".rstrip(": ")] if schedule.paused else []
    parts += [] if schedule.wait is None else [f"WAITS: {schedule.wait.told(in_words).words}"]
    return "; ".join(parts)


async def _next(invocation: Invocation, options: NextOptions) -> int:
    async with _client(invocation) as client:
        found = await list_schedules(client, invocation.settings)
    meant = [one for one in found if options.schedule in {"", one.id, one.name}]
    if options.schedule and not meant:
        raise no_schedule(options.schedule, [one.name for one in found])
    times = sorted(
        (moment, schedule.id, schedule.name)
        for schedule in meant
        if not schedule.paused
        for moment in schedule.next_times
    )
    rows = [(_local(moment), name) for moment, _, name in times[:_SHOWN_TIMES]]
    lines = table(_NEXT_COLUMNS, rows, "" if rows else _never(meant))
    return tell(options, [{"id": name, "time": _iso(moment)} for moment, name, _ in times], lines)


def _never(schedules: Sequence[ListedSchedule]) -> str:
    """Why nothing is due."""
    paused = [one.name for one in schedules if one.paused]
    return f"nothing is due; paused: {', '.join(paused)}" if paused else "nothing is due"


def _steer(options: NamedOptions, act: Callable[[Client, str], Awaitable[None]], done: str) -> int:
    async def steer(invocation: Invocation) -> str:
        async with _client(invocation) as client:
            name = await find_schedule(client, invocation.settings, options.schedule)
            await act(client, name)
        return name

    name = asyncio.run(steer(Invocation.of(options)))
    return tell_done(options, {"message_type": "done", "id": name, "message": done}, f"{name} {done}")


@asynccontextmanager
async def _client(invocation: Invocation) -> AsyncIterator[Client]:
    with server_errors():
        async with open_service(invocation.settings, Need(), invocation.environ) as service:
            yield service.client


def _moment(option: str, text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise UsageError(f"{option}: {text!r} is no time", hint="Write one like 2026-01-31T12:00.") from None


def _local(moment: datetime) -> str:
    return local_time(int(moment.timestamp()) * NS_PER_S)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
