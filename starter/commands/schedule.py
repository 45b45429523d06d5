"""`holdfast schedule`: the schedules that holdfast.toml declares, and those on the server."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final

import typer
from temporalio.client import Client, ScheduleBackfill, ScheduleDescription, ScheduleOverlapPolicy

from control.runs import server_errors
from control.schedules import server
from control.schedules.declaration import PREFIX, declarations
from control.schedules.plan import PlannedStep, Step, plan
from control.schedules.standing import waits_for
from holdfast.errors import EXIT_COMPLETE, UsageError
from holdfast.units import NS_PER_S
from service.settings.suggestions import one_of
from starter.host.service import Need, open_service
from starter.shell.invocation import Invocation
from starter.shell.options import CommonOptions
from starter.shell.output import say, say_json
from starter.shell.registration import add_command
from starter.shell.text import local_time, table

app: Final = typer.Typer(help="Apply, list and steer schedules.", no_args_is_help=False)
_MARKS: Final = {Step.CREATE: "+", Step.CHANGE: "~", Step.DELETE: "-"}
_SHOWN_TIMES: Final = 10


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


def list_schedules(options: CommonOptions) -> int:
    """List this host's schedules."""
    return asyncio.run(_list(Invocation.of(options), options))


def pause(options: NotedOptions) -> int:
    """Let a schedule's times pass until it is resumed."""
    return asyncio.run(_steer(options, "pause", options.note))


def resume(options: NotedOptions) -> int:
    """Let a paused schedule run again."""
    return asyncio.run(_steer(options, "resume", options.note))


def trigger(options: NamedOptions) -> int:
    """Run a schedule once, now."""
    return asyncio.run(_steer(options, "trigger"))


def delete(options: NamedOptions) -> int:
    """Remove a schedule from the server; `apply` brings it back while holdfast.toml declares it."""
    return asyncio.run(_steer(options, "delete"))


def backfill(options: BackfillOptions) -> int:
    """Run the times of a schedule that lie in the past, one after the other."""
    return asyncio.run(_backfill(Invocation.of(options), options))


def next_times(options: NextOptions) -> int:
    """Show when schedules run next."""
    return asyncio.run(_next(Invocation.of(options), options))


add_command(app, "apply", apply)
add_command(app, "list", list_schedules)
add_command(app, "next", next_times)
add_command(app, "pause", pause)
add_command(app, "resume", resume)
add_command(app, "trigger", trigger)
add_command(app, "backfill", backfill)
add_command(app, "delete", delete)


async def _apply(invocation: Invocation, options: ApplyOptions) -> int:
    declared = declarations(invocation.settings)
    async with _client(invocation) as client:
        there = await server.standing(client, invocation.settings.host, [wanted.id for wanted in declared])
        steps = plan(declared, there)
        _tell_plan(options, steps)
        if not steps or options.dry_run:
            return EXIT_COMPLETE
        if not options.yes:
            _ask(steps)
        await server.carry_out_all(client, steps)
    if not options.quiet and not options.json:
        say(f"{len(steps)} applied")
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
    if not steps:
        say("the server's schedules are those of the settings; nothing to do")
    for step in steps:
        say(f"{_MARKS[step.step]} {step.step.value} {step.id}")
        for difference in step.differences:
            say(f"    {difference}")


def _ask(steps: Sequence[PlannedStep]) -> None:
    """Ask the person at the terminal.

    Raises:
        UsageError: nobody is there, or the answer is no.
    """
    if not sys.stdin.isatty():
        raise UsageError("nobody is there to say yes", hint="Give --yes to apply the plan without asking.")
    if not typer.confirm(f"apply {len(steps)} changes?"):
        raise UsageError("nothing was changed", hint="Repeat the command to see the plan again.")


async def _list(invocation: Invocation, options: CommonOptions) -> int:
    rows = []
    async with _client(invocation) as client:
        for name, description in await _standing(client, invocation):
            info, state = description.info, description.schedule.state
            entry = await server.entry_of(client, description) or {}
            rows.append(
                {
                    "id": name,
                    "kind": str(entry.get("kind", "")),
                    "strategy": str(entry.get("strategy", "")),
                    "paused": state.paused,
                    "note": state.note or "",
                    "waits_for": await waits_for(client, description),
                    "next": _iso(info.next_action_times[0]) if info.next_action_times else "",
                    "runs": info.num_actions,
                    "missed": info.num_actions_missed_catchup_window,
                    "skipped": info.num_actions_skipped_overlap,
                }
            )
    if options.json:
        say_json(rows)
        return EXIT_COMPLETE
    header = ("Schedule", "Does", "Next", "Runs", "Skipped", "Missed", "State")
    shown = [
        (
            _short(invocation, str(row["id"])),
            f"{row['kind']} {row['strategy']}".rstrip(),
            str(row["next"]),
            str(row["runs"]),
            str(row["skipped"]),
            str(row["missed"]),
            _state(row),
        )
        for row in rows
    ]
    for line in table(header, shown):
        say(line)
    return EXIT_COMPLETE


def _state(row: Mapping[str, object]) -> str:
    parts = [f"paused: {row['note']}".rstrip(": ")] if row["paused"] else []
    parts += [f"WAITS: {row['waits_for']}"] if row["waits_for"] else []
    return "; ".join(parts)


async def _next(invocation: Invocation, options: NextOptions) -> int:
    times: list[tuple[datetime, str]] = []
    async with _client(invocation) as client:
        for name, description in await _standing(client, invocation):
            if (
                options.schedule in {"", name, _short(invocation, name)}
                and not description.schedule.state.paused
            ):
                times += [(moment, name) for moment in description.info.next_action_times]
    times.sort()
    if options.json:
        say_json([{"id": name, "time": _iso(moment)} for moment, name in times])
        return EXIT_COMPLETE
    for moment, name in times[:_SHOWN_TIMES]:
        say(f"{local_time(int(moment.timestamp()) * NS_PER_S)}  {_short(invocation, name)}")
    return EXIT_COMPLETE


async def _steer(options: NamedOptions, what: str, note: str = "") -> int:
    invocation = Invocation.of(options)
    async with _client(invocation) as client:
        name = await _resolve(client, invocation, options.schedule)
        handle = client.get_schedule_handle(name)
        if what == "pause":
            await handle.pause(note=note or "paused by holdfast")
        elif what == "resume":
            await handle.unpause(note=note or "resumed by holdfast")
        elif what == "trigger":
            await handle.trigger()
        else:
            await handle.delete()
    _tell(options, name, {"trigger": "runs now", "delete": "is deleted"}.get(what, f"is {what}d"))
    return EXIT_COMPLETE


async def _backfill(invocation: Invocation, options: BackfillOptions) -> int:
    since = _moment("--since", options.since)
    until = _moment("--until", options.until) if options.until else datetime.now(UTC)
    if since >= until:
        raise UsageError("--since lies after --until", hint="Exchange the two.")
    async with _client(invocation) as client:
        name = await _resolve(client, invocation, options.schedule)
        handle = client.get_schedule_handle(name)
        await handle.backfill(
            ScheduleBackfill(start_at=since, end_at=until, overlap=ScheduleOverlapPolicy.BUFFER_ALL)
        )
    _tell(options, name, "makes up for that time")
    return EXIT_COMPLETE


@asynccontextmanager
async def _client(invocation: Invocation) -> AsyncIterator[Client]:
    with server_errors():
        async with open_service(invocation.settings, Need(), invocation.environ) as service:
            yield service.client


async def _standing(client: Client, invocation: Invocation) -> list[tuple[str, ScheduleDescription]]:
    settings = invocation.settings
    declared = [wanted.id for wanted in declarations(settings)]
    found = []
    for schedule in await server.standing(client, settings.host, declared):
        description = await server.describe(client, schedule.id)
        if description is not None:
            found.append((schedule.id, description))
    return found


async def _resolve(client: Client, invocation: Invocation, given: str) -> str:
    """The id of the schedule that is meant.

    Raises:
        UsageError: the server has no such schedule.
    """
    for name in (f"{PREFIX}.{invocation.settings.host}.{given}", given):
        if name.startswith(f"{PREFIX}.") and await server.describe(client, name) is not None:
            return name
    known = [_short(invocation, name) for name, _ in await _standing(client, invocation)]
    hint = (
        one_of(given, known, "schedules")
        if known
        else "`holdfast schedule apply` creates those of the settings."
    )
    raise UsageError(f"the server has no schedule {given!r}", hint=hint)


def _short(invocation: Invocation, name: str) -> str:
    return name.removeprefix(f"{PREFIX}.{invocation.settings.host}.")


def _moment(option: str, text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise UsageError(f"{option}: {text!r} is no time", hint="Write one like 2026-01-31T12:00.") from None


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _tell(options: CommonOptions, name: str, what: str) -> None:
    if options.json:
        say_json({"message_type": "done", "id": name, "message": what})
    elif not options.quiet:
        say(f"{name} {what}")
