"""A run on a server that is there: begun, or found under way, followed to its end, and told of.

This brings Temporal's client; `conduct`, which starts what needs time first, imports it late.
"""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from temporalio.client import Client

from contracts import identity
from contracts.backup import BackupRequest
from contracts.drill import DrillRequest
from contracts.identity import is_own
from contracts.restore import RestoreRequest
from contracts.verify import VerifyRequest
from control import runs
from control.continuation import to_continue
from control.journal import open_journal
from control.known_paths import KnownPaths
from control.names import source_changed
from holdfast.errors import JournalUnavailableError
from holdfast.terms import RunKind
from service.journal.glance import is_recorded, nothing_open
from service.journal.records import RunRecord
from service.settings.model import Settings
from service.settings.requests import remove_request
from starter.host.need import Service
from starter.runs.attendance import attend
from starter.runs.conduct import Order
from starter.shell.invocation import Invocation
from starter.shell.output import warn
from starter.shell.text import local_time
from starter.view.display import Display
from starter.view.reports import Report

_LOOKED_AT: Final = 100
_Resumable = BackupRequest | RestoreRequest | VerifyRequest
_SUBJECTS: Final[Mapping[RunKind, str]] = {
    RunKind.BACKUP: "source",
    RunKind.RESTORE: "selection",
    RunKind.VERIFY: "repository",
    RunKind.DRILL: "drill",
}


async def served(
    invocation: Invocation, order: Order, service: Service, queue: str, known: KnownPaths
) -> runs.Result | None:
    """Start or find the run and follow it; None when it was left to the service."""

    async def begin(display: Display) -> runs.Handle:
        return await _begin(service, invocation, order, queue, display)

    kind = runs.kind_of(order.request)
    return await attend(invocation, service, kind, begin, detach=order.detach, known=known)


def tell(invocation: Invocation, order: Order, result: runs.Result) -> int:
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


def _newest_record(settings: Settings, kind: RunKind, repository: str, source: str) -> RunRecord | None:
    """The journal's newest run of a source; None also when the journal cannot be read."""
    alike = (
        len(identity.shown(source)) if kind is RunKind.RESTORE else None
    )  # each request has a token of its own
    if settings.journal.url is None and nothing_open(
        settings.journal_path, kind, repository, source, alike=alike
    ):
        return None
    wanted = None if alike else source
    try:
        found = open_journal(settings).runs(_LOOKED_AT, source=wanted, repositories=[repository], kind=kind)
    except JournalUnavailableError as error:
        warn(f"the journal cannot be read: {error.message}")
        return None
    return next((record for record in found if record.source[:alike] == source[:alike]), None)


async def _begin(
    service: Service, invocation: Invocation, order: Order, queue: str, display: Display
) -> runs.Handle:
    request = order.request
    kind = runs.kind_of(request)
    if await runs.is_open(service.client, order.workflow_id):
        display.note(f"a run of this {_SUBJECTS[kind]} is already under way; following it")
        handle = runs.handle_of(service.client, kind, order.workflow_id)
        if order.lift_pause:
            await runs.lift_pause(handle)
        elif isinstance(request, RestoreRequest):
            remove_request(
                invocation.settings.state_dir, request.selection
            )  # it is the open run's that is carried out
        return handle
    if isinstance(request, DrillRequest):  # it begins again
        return await runs.start(service.client, request, order.workflow_id, queue)
    if request.resume_run:
        request = await _as_asked_before(service.client, order, request)
        display.note("going on with the interrupted run")
    elif not order.fresh:
        request = _going_on(invocation, request, order.workflow_id, display)
    return await runs.start(service.client, request, order.workflow_id, queue)


def _going_on(invocation: Invocation, request: _Resumable, workflow_id: str, display: Display) -> _Resumable:
    """The request, as the continuation of an interrupted run of its subject if there is one."""
    settings, kind = invocation.settings, runs.kind_of(request)
    subject = request.source if isinstance(request, BackupRequest) else request.selection
    record = _newest_record(settings, kind, request.repository, subject)
    only_lost = kind is not RunKind.BACKUP
    earlier = to_continue(record, is_open=False, now_ns=time.time_ns(), only_lost=only_lost)
    # Of a journal that hosts share, another host's run of a source of the same name is not this one's to go on with.
    if (
        earlier is None
        or not is_own(earlier.workspace_id, workflow_id)
        or not _asks_the_same(request, earlier)
    ):
        return request
    if source_changed(settings, invocation.environ, earlier):
        display.note("the source's settings have changed since the interrupted run began; beginning again")
        return request
    display.note(f"going on with the interrupted run of this {_SUBJECTS[kind]}")
    if kind is RunKind.BACKUP:
        begun = local_time(earlier.started_ns)
        display.note(f"files made since {begun} may be left for the next backup (--fresh begins again)")
    if isinstance(request, RestoreRequest):  # with the order that it has used; this one is not needed
        remove_request(settings.state_dir, request.selection)
        request = replace(request, selection=earlier.source)
    return replace(request, resume_run=earlier.workspace_id)


def _asks_the_same(request: _Resumable, earlier: RunRecord) -> bool:
    """Whether the earlier run can become what is asked: its strategy and parent, or its share, are decided."""
    if isinstance(request, BackupRequest):
        return not request.parent and request.strategy.value in {"auto", earlier.strategy}
    return isinstance(request, RestoreRequest) or request.share == earlier.strategy


async def _as_asked_before(client: Client, order: Order, request: _Resumable) -> _Resumable:
    """The request that the run had, where the server still knows it: with its tags, its strategy, its level."""
    asked = await runs.request_of(client, order.workflow_id, runs.kind_of(request))
    if asked is None or isinstance(asked, DrillRequest):
        return request
    return replace(asked, resume_run=request.resume_run, policy=request.policy, progress=None)
