"""A run on a server that is there: begun, or found under way, followed to its end, and told of.

This brings Temporal's client; `conduct`, which starts what needs time first, imports it late.
"""

from collections.abc import Iterator

from contracts.backup import BackupRequest
from contracts.verbs import Request, Result, asked_by
from control import runs, start
from control.known_paths import KnownPaths
from service.journal.glance import is_recorded
from starter.host.need import Service
from starter.runs.attendance import attend
from starter.runs.conduct import Order
from starter.shell.invocation import Invocation
from starter.shell.output import warn
from starter.shell.text import local_time
from starter.view.display import Display
from starter.view.reports import Report


async def served(invocation: Invocation, order: Order, service: Service, known: KnownPaths) -> Result | None:
    """Start or find the run and follow it; None when it was left to the service."""

    async def begin(display: Display) -> runs.Handle:
        return await _begin(service, invocation, order, display)

    kind = asked_by(order.request).kind
    return await attend(invocation, service, kind, begin, detach=order.detach, known=known)


def tell(invocation: Invocation, order: Order, result: Result) -> int:
    """Say what came of the run; the exit code."""
    settings = invocation.settings
    if settings.journal.url is None and not is_recorded(settings.journal_path, result.run_id):
        warn(f"the journal has no record of this run: {settings.state_dir / 'logs'} says why")
    report = Report(
        invocation.settings,
        as_json=invocation.options.json,
        quiet=invocation.options.quiet,
        list_files=order.list_files,
    )
    return report.tell(result)


async def _begin(service: Service, invocation: Invocation, order: Order, display: Display) -> runs.Handle:
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
    """What a person should know of how the run began."""
    subject = asked_by(request).subject
    if begun.joined:
        yield f"a run of this {subject} is already under way; following it"
    elif begun.changed:
        yield "the source's settings have changed since the interrupted run began; beginning again"
    elif begun.earlier is not None:
        yield f"going on with the interrupted run of this {subject}"
        if isinstance(request, BackupRequest):
            since = local_time(begun.earlier.started_ns)
            yield f"files made since {since} may be left for the next backup (--fresh begins again)"
    elif begun.resumed:
        yield "going on with the interrupted run"
