"""`holdfast guard` compares sources with their newest snapshots; by their policies it reports, asks, or restores."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final

import typer

from holdfast.contracts.guard import GuardFound, GuardRequest, GuardResult, GuardStatus
from holdfast.contracts.veiled import REPOSITORY
from holdfast.control import guard as control
from holdfast.control import requests
from holdfast.control.journal import open_journal
from holdfast.control.known_paths import KnownPaths
from holdfast.control.runs import server_errors
from holdfast.errors import EXIT_COMPLETE, EXIT_PARTIAL, JournalUnavailableError
from holdfast.file_list import FileRecord
from holdfast.format.times import format_time
from holdfast.service.settings.guard import DAMAGE_POLICIES, MISSING_POLICIES, GuardOrder
from holdfast.service.settings.model import Settings, SourceProfile
from holdfast.starter.host.service import Need, Service, open_service
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import CommonOptions, one_word
from holdfast.starter.shell.output import say_flowed, say_json, warn
from holdfast.starter.shell.person import triggered
from holdfast.starter.shell.text import ahead_of_time, named_time, printable
from holdfast.terms import RunStatus
from holdfast.units import counted

_SHOWN_PATHS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardOptions(CommonOptions):
    """Options of `guard`."""

    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A source of the settings.")]
    on_missing: Annotated[
        str,
        typer.Option(metavar="POLICY", help="report, ask or restore; else the source's.", show_default=False),
    ] = ""
    on_damaged: Annotated[
        str, typer.Option(metavar="POLICY", help="report or ask; else the source's.", show_default=False)
    ] = ""


def guard(options: GuardOptions) -> int:
    """Compare a source with its newest snapshot. A file that is there is never overwritten without approval."""
    invocation = Invocation.of(options)
    for option, value, known in (
        ("--on-missing", options.on_missing, MISSING_POLICIES),
        ("--on-damaged", options.on_damaged, DAMAGE_POLICIES),
    ):
        if value:
            one_word(option, value, known)
    return asyncio.run(_guard(invocation, options))


async def _guard(invocation: Invocation, options: GuardOptions) -> int:
    settings = invocation.settings
    source = settings.source(options.source)
    need = Need(
        queue=requests.base_queue(settings, source.repository),
        passwords=invocation.worker_passwords(settings.repository(source.repository)),
    )
    order = _order(settings, options)
    request = GuardRequest(
        repository=source.repository,
        source=source.name,
        trigger=triggered(),
        order=order,
        policy=requests.run_policy(settings),
    )
    with server_errors():
        async with open_service(settings, need, invocation.environ) as service:
            return await follow(
                invocation, service, await control.start(service.client, settings, request), source
            )


def _order(settings: Settings, options: GuardOptions) -> str:
    """The token of another policy than the source's; empty for its own. Workers take none from a message."""
    if not options.on_missing and not options.on_damaged:
        return ""
    order = GuardOrder(source=options.source, on_missing=options.on_missing, on_damaged=options.on_damaged)
    return requests.store_once(settings, order)


async def follow(
    invocation: Invocation, service: Service, handle: control.GuardHandle, source: SourceProfile
) -> int:
    """Follow a guard until it ends, or waits for approval; say what it found, and the exit code."""
    known = KnownPaths({REPOSITORY: invocation.settings.repository(source.repository).location})
    came = await control.follow(handle, known)
    if isinstance(came, GuardResult):
        _tell_result(invocation, came)
        return EXIT_COMPLETE if came.status is RunStatus.COMPLETE else EXIT_PARTIAL
    if came.found is not None:
        _tell_waiting(invocation, came, came.found, source.name, service.run_url(handle.id))
    return EXIT_PARTIAL


def _tell_waiting(
    invocation: Invocation, status: GuardStatus, found: GuardFound, source: str, url: str | None
) -> None:
    if invocation.options.json:
        say_json(
            {
                "message_type": "waiting",
                "run_id": status.run_id,
                "waiting": list(status.waiting),
                "until": format_time(status.expires_ns),
                **_counts(found),
            }
        )
        return
    _tell_found(invocation, status.run_id, found)
    warn(
        f"waiting for approval until {named_time(status.expires_ns)}: {', '.join(status.waiting)}\n"
        f"`holdfast approve {source} --by NAME --reason TEXT` restores."
    )
    if url is not None:
        warn(url)


def _tell_result(invocation: Invocation, result: GuardResult) -> None:
    if invocation.options.json:
        say_json(
            {
                "message_type": "summary",
                "run_id": result.run_id,
                "status": result.status.value,
                **_counts(result.found),
                "decisions": [
                    {
                        "part": decision.part.value,
                        "outcome": decision.outcome,
                        "by": decision.by,
                        "reason": decision.reason,
                        "files_written": decision.files_written,
                    }
                    for decision in result.decisions
                ],
            }
        )
        return
    _tell_found(invocation, result.run_id, result.found)
    for decision in result.decisions:
        by = f" by {decision.by} ({decision.reason})" if decision.by else ""
        written = counted(decision.files_written, "file")
        say_flowed([f"{decision.part.value}: {decision.outcome}{by}, {written} written"])


def _tell_found(invocation: Invocation, run_id: str, found: GuardFound) -> None:
    if found.alarm:
        warn(
            f"ALARM: {found.alarm}\nNothing from before it is forgotten until it is decided: by `holdfast approve`, or "
            "`holdfast release --alarm`."
        )
    for snapshot in found.ahead:
        warn(ahead_of_time(snapshot, found.snapshot_id))
    what = (
        f"{found.missing:,} missing, {found.damaged:,} damaged, {found.noise:,} turned into noise, "
        f"{found.changed:,} written since"
    )
    compared = f"compared {counted(found.files, 'file')} with snapshot {found.snapshot_id[:8]}"
    say_flowed([f"{compared}: {what}"])
    say_flowed(f"  {record.action.value}  {printable(record.path)}" for record in _paths(invocation, run_id))


def _paths(invocation: Invocation, run_id: str) -> Iterator[FileRecord]:
    """The first paths that were found; they stand in the journal alone."""
    try:
        for number, record in enumerate(open_journal(invocation.settings, invocation.environ).files(run_id)):
            if number == _SHOWN_PATHS:
                warn("… `holdfast run files` lists them all")
                return
            yield record
    except JournalUnavailableError as error:
        warn(f"the journal cannot be read: {error.message}")


def _counts(found: GuardFound) -> dict[str, object]:
    names = ("snapshot_id", "files", "new", "changed", "missing", "damaged", "noise", "unreadable", "alarm")
    return {name: getattr(found, name) for name in (*names, "ahead")}
