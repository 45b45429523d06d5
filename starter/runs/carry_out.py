"""An order is carried out by a service: its run is begun or found, followed to its end, and told of."""

import asyncio
import sys
from collections.abc import Iterator

from holdfast.contracts.backup import BackupRequest
from holdfast.contracts.verbs import Request, Result, asked_by
from holdfast.control import runs, start
from holdfast.control.known_paths import NO_PATHS, KnownPaths
from holdfast.errors import (
    EXIT_COMPLETE,
    EndedOutsideError,
    UntrustedError,
    UsageError,
)
from holdfast.service.journal.glance import is_recorded
from holdfast.starter.host.early_start import EarlyStart
from holdfast.starter.host.service import Need, Service, open_service
from holdfast.starter.runs.follower import Follower
from holdfast.starter.runs.order import Order
from holdfast.starter.runs.witness import UnprovenError, check_result
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.output import say, say_json, warn
from holdfast.starter.shell.text import named_time
from holdfast.starter.view.display import Display, display_for
from holdfast.starter.view.reports import Report


async def carry_out(invocation: Invocation, order: Order, need: Need, begun: EarlyStart | None = None) -> int:
    """Carry the order out, up to its report; the exit code.

    Raises:
        UsageError: the run is to be left to the service, and there is none.
        HoldfastError: whatever else stands in its way, or ended the run.
    """
    async with open_service(invocation.settings, need, invocation.environ, begun) as service:
        if order.detach and service.owned:
            raise UsageError(
                "no service is up that could go on with the run",
                hint="Start `holdfast up` (or leave out --detach).",
            )
        try:
            with order.beside:
                result = await _followed(invocation, order, service)
            if result is not None:
                await check_result(invocation.settings, invocation.environ, order, result, service.opener)
        except (EndedOutsideError, UnprovenError, UntrustedError) as error:
            from holdfast.starter.runs.outside_ends import tell_outside_end  # noqa: PLC0415 - notices, for a rare case

            await asyncio.to_thread(tell_outside_end, invocation, order.workflow_id, error.message)
            raise
    return EXIT_COMPLETE if result is None else await _report(invocation, order, result)


async def _followed(invocation: Invocation, order: Order, service: Service) -> Result | None:
    """The run's result; None when it was left to the service."""
    settings, options, repository = invocation.settings, invocation.options, order.repository
    known = NO_PATHS if repository is None else KnownPaths.of(settings, order.request, repository.location)
    kind = asked_by(order.request).kind
    display = display_for(kind, as_json=options.json, quiet=options.quiet, terminal=sys.stdout.isatty())
    try:
        with runs.server_errors(), Follower(service, display, settings, known) as follower:
            handle = await _begun(invocation, order, service, display)
            url = service.run_url(handle.id)
            if order.detach:
                _tell_detached(invocation, handle.id, url)
                return None
            if url is not None:
                display.link(url)
            return await follower.follow(handle)
    finally:
        display.close()


async def _begun(invocation: Invocation, order: Order, service: Service, display: Display) -> runs.Handle:
    begun = await start.begin(
        service.client,
        invocation.settings,
        invocation.environ,
        order.request,
        order.workflow_id,
        fresh=order.fresh,
        lift_pause=order.lift_pause,
    )
    for note in _notes(order.request, begun):
        display.note(note)
    if begun.unread:
        warn(f"the journal cannot be read: {begun.unread}")
    return begun.handle


def _notes(request: Request, begun: start.Begun) -> Iterator[str]:
    """The words for how the run began, where a person should know."""
    subject = asked_by(request).subject
    if begun.joined:
        yield f"a run of this {subject} is already under way; following it"
    elif begun.changed:
        yield "the source's settings have changed since the interrupted run began; beginning again"
    elif begun.earlier is not None:
        yield f"going on with the interrupted run of this {subject}"
        if isinstance(request, BackupRequest):
            since = named_time(begun.earlier.started_ns)
            yield f"files made since {since} may be left for the next backup (--fresh begins again)"
    elif begun.resumed:
        yield "going on with the interrupted run"


def _tell_detached(invocation: Invocation, workflow_id: str, url: str | None) -> None:
    if invocation.options.json:
        say_json({"message_type": "started", "workflow_id": workflow_id, "url": url})
        return
    say(f"the run is under way: `holdfast status` shows it{'' if url is None else f', and {url}'}")


async def _report(invocation: Invocation, order: Order, result: Result) -> int:
    settings, options = invocation.settings, invocation.options
    if settings.journal.url is None and not await asyncio.to_thread(
        is_recorded, settings.journal_path, result.run_id
    ):
        warn(f"the journal has no record of this run: {settings.state_dir / 'logs'} says why")
    report = Report(settings, as_json=options.json, quiet=options.quiet, list_files=order.list_files)
    return report.tell(result)
