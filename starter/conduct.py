"""Carries one run from its request to its report: a service, a start or an earlier run that goes on, the end."""

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from temporalio.client import Client

from contracts.backup import BackupRequest
from contracts.drill import DrillRequest
from contracts.restore import RestoreRequest
from contracts.veiled import REPOSITORY, STATE_DIR, TARGET
from contracts.verify import VerifyRequest
from holdfast.errors import EXIT_COMPLETE, JournalUnavailableError, UsageError
from holdfast.journal.records import RunKind, RunRecord
from holdfast.restore.request import RestoreOptions
from holdfast.settings.model import RepositoryProfile, Settings
from holdfast.settings.requests import read_request
from starter import runs
from starter.connection import connect
from starter.continuing import to_continue
from starter.display import Display, display_for
from starter.follow import Following, Interrupts
from starter.invocation import Invocation
from starter.journaling import open_journal
from starter.output import reveal, say, say_json
from starter.reports import Report
from starter.service import Need, Service, base_queue, open_service
from starter.temporal_server import EmbeddedServer

Resumable = BackupRequest | RestoreRequest | VerifyRequest
_SUBJECTS: Final[Mapping[RunKind, str]] = {
    RunKind.BACKUP: "source",
    RunKind.RESTORE: "selection",
    RunKind.VERIFY: "repository",
    RunKind.DRILL: "drill",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A run that is wanted. repository: where it goes to or comes from. workflow_id: the same for the same subject.

    fresh: do not go on with an interrupted run. detach: return once it is started. list_files: report each path.
    lift_pause: a run that is under way and paused is to go on.
    """

    request: runs.Request
    repository: RepositoryProfile
    workflow_id: str
    fresh: bool = False
    detach: bool = False
    list_files: bool = False
    lift_pause: bool = False

    @property
    def kind(self) -> RunKind:
        """Which verb it is of."""
        return runs.kind_of(self.request)


async def carry_out(invocation: Invocation, order: Order) -> int:
    """Run the order to its end; the exit code.

    Raises:
        HoldfastError: whatever stands in its way, or ended the run.
    """
    settings = invocation.settings
    _reveal_paths(settings, order)
    need = Need(
        queue=base_queue(settings, order.request.repository),
        passwords=invocation.worker_passwords(order.repository),
    )
    async with open_service(settings, need, invocation.environ) as service:
        result = await _served(invocation, order, service, need.queue)
    if result is None:
        return EXIT_COMPLETE
    report = Report(
        open_journal(settings),
        as_json=invocation.options.json,
        quiet=invocation.options.quiet,
        list_files=order.list_files,
    )
    return report.tell(result)


def _reveal_paths(settings: Settings, order: Order) -> None:
    """What a person typed may be shown to that person, though the server never sees it."""
    reveal(STATE_DIR, str(settings.state_dir))
    reveal(REPOSITORY, order.repository.location)
    if isinstance(order.request, RestoreRequest):
        options = read_request(settings.state_dir, order.request.selection, RestoreOptions)
        if options.target is not None:
            reveal(TARGET, os.fsdecode(options.target))


async def _served(invocation: Invocation, order: Order, service: Service, queue: str) -> runs.Result | None:
    """Start or find the run and follow it; None when it was left to the service."""
    if order.detach and service.owned:
        raise UsageError(
            "no service is up that could go on with the run",
            hint="Start `holdfast up` (or leave out --detach).",
        )
    display = _display(invocation, order.kind)
    try:
        with runs.server_errors(), Interrupts() as interrupts:
            handle = await _begin(service, invocation.settings, order, queue, display)
            url = service.run_url(order.workflow_id)
            if order.detach:
                _tell_detached(invocation, order, url)
                return None
            if url is not None:
                display.link(url)
            following = Following(
                service.client, handle, display, interrupts, service_stays=not service.owned
            )
            return await following.to_the_end()
    finally:
        display.close()


async def find_client(invocation: Invocation) -> Client | None:
    """A client of the server that is there; None when the embedded one is not running.

    Raises:
        ServerUnavailableError: a server is configured and does not answer.
    """
    address = invocation.settings.server.address
    if address is not None:
        return await connect(invocation.settings.server, address)
    return await EmbeddedServer(invocation.settings, invocation.environ).find()


def newest_record(settings: Settings, kind: RunKind, repository: str, source: str) -> RunRecord | None:
    """The journal's newest run of a source; None also when the journal cannot be read."""
    try:
        found = open_journal(settings).runs(1, source=source, repositories=[repository], kind=kind)
    except JournalUnavailableError:
        return None
    return found[0] if found else None


async def _begin(
    service: Service, settings: Settings, order: Order, queue: str, display: Display
) -> runs.Handle:
    request = order.request
    if await runs.is_open(service.client, order.workflow_id):
        display.note(f"a run of this {_SUBJECTS[order.kind]} is already under way; following it")
        handle = runs.handle_of(service.client, order.kind, order.workflow_id)
        if order.lift_pause:
            await runs.lift_pause(handle)
        return handle
    if isinstance(request, DrillRequest):
        return await runs.start(service.client, request, order.workflow_id, queue)
    if request.resume_run:
        request = await _as_asked_before(service.client, order, request)
        display.note("going on with the interrupted run")
    elif isinstance(request, BackupRequest) and not order.fresh:
        record = newest_record(settings, RunKind.BACKUP, request.repository, request.source)
        earlier = to_continue(record, is_open=False, now_ns=time.time_ns())
        if earlier is not None:
            request = replace(request, resume_run=earlier.run_id)
            display.note("going on with the interrupted run of this source (--fresh begins anew)")
    return await runs.start(service.client, request, order.workflow_id, queue)


async def _as_asked_before(client: Client, order: Order, request: Resumable) -> Resumable:
    """The request that the run had, where the server still knows it: with its tags, its strategy, its level."""
    asked = await runs.request_of(client, order.workflow_id, order.kind)
    if asked is None or isinstance(asked, DrillRequest):
        return request
    return replace(asked, resume_run=request.resume_run, policy=request.policy, progress=None)


def _display(invocation: Invocation, kind: RunKind) -> Display:
    options = invocation.options
    return display_for(kind, as_json=options.json, quiet=options.quiet, terminal=sys.stdout.isatty())


def _tell_detached(invocation: Invocation, order: Order, url: str | None) -> None:
    if invocation.options.json:
        say_json({"message_type": "started", "workflow_id": order.workflow_id, "url": url})
        return
    say(f"the run is under way: `holdfast status` shows it{'' if url is None else f', and {url}'}")
