"""`holdfast resume` goes on with an interrupted run."""

import asyncio
from dataclasses import dataclass, replace
from typing import Annotated

import typer
from temporalio.client import Client

from holdfast.contracts.identity import workflow_of
from holdfast.contracts.system import SystemResult
from holdfast.contracts.verbs import Request, repository_of, verb_of
from holdfast.control import runs
from holdfast.control.continuation import continued, interrupted
from holdfast.control.listing import journal_runs, list_runs
from holdfast.control.names import known_repository, repositories_at
from holdfast.control.repositories import check_repository
from holdfast.errors import EXIT_COMPLETE, UsageError
from holdfast.service.journal.records import RunRecord
from holdfast.starter.host.service import Need, find_client, open_service
from holdfast.starter.runs.carry_out import carry_out
from holdfast.starter.runs.order import Order, need_of
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import CommonOptions
from holdfast.starter.shell.output import tell_done
from holdfast.starter.view.listing import told


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeOptions(CommonOptions):
    """Options of `resume`."""

    run: Annotated[
        str,
        typer.Argument(
            metavar="[RUN]",
            help="A run's id or its source; else the newest interrupted one.",
            show_default=False,
        ),
    ] = ""
    detach: Annotated[
        bool, typer.Option("--detach", help="Return once the run goes on; a service must be up.")
    ] = False


def resume(options: ResumeOptions) -> int:
    """Go on with a paused or interrupted run, and follow it to its end."""
    with runs.server_errors():
        return asyncio.run(_resume(Invocation.of(options), options))


async def _resume(invocation: Invocation, options: ResumeOptions) -> int:
    client = await find_client(invocation.settings, invocation.environ)
    if options.run and client is not None and await _of_a_system(invocation, options, client):
        return EXIT_COMPLETE
    order = await _recorded(invocation, options, client) or await _on_server(invocation, options)
    if order is None:
        raise UsageError(
            "no run was interrupted", hint="`holdfast status` lists the runs; `holdfast backup` starts one."
        )
    if order.repository is not None:
        check_repository(order.repository)
    order = replace(order, lift_pause=True)
    return await carry_out(invocation, order, need_of(invocation, order))


async def _of_a_system(invocation: Invocation, options: ResumeOptions, client: Client) -> bool:
    """Let a paused run of a system go on, if that is meant; whether it was."""
    listed = await list_runs(invocation.settings, invocation.environ, client)
    try:
        run = listed.find(options.run)
    except UsageError:
        return False  # an older run of the journal may be meant
    if run.view is None or verb_of(run.kind).result is not SystemResult:
        return False
    await runs.lift_pause(runs.handle_of(client, run.kind, run.workflow_id))
    words = f"run {run.short_id} goes on; `holdfast status {run.short_id}` shows it"
    tell_done(options, {"message_type": "resumed", "run_id": run.run_id}, words)
    return True


async def _recorded(invocation: Invocation, options: ResumeOptions, client: Client | None) -> Order | None:
    """The run that the journal knows."""
    listed = told(journal_runs(invocation.settings, invocation.environ))
    opened = [] if client is None else [run.workflow_id for run in await runs.open_runs(client)]
    if options.run:
        record = listed.find(options.run).record
        if record is None or record not in interrupted([record], opened):
            raise _refused(options.run, "unknown" if record is None else record.status.value)
        return await _order_of(invocation, options, client, record)
    records = [run.record for run in listed.runs if run.record is not None]
    for record in interrupted(records, opened):
        if _is_meant(invocation, record):
            return await _order_of(invocation, options, client, record)
    return None


async def _on_server(invocation: Invocation, options: ResumeOptions) -> Order | None:
    """A run that only the server knows: it was interrupted before the journal heard of it."""
    async with open_service(invocation.settings, Need(), invocation.environ) as service:
        for run in await runs.open_runs(service.client):
            request = await runs.request_of(service.client, run.workflow_id, run.kind)
            if request is not None and repository_of(request):
                return Order(
                    request=request,
                    repository=known_repository(invocation.settings, repository_of(request)),
                    workflow_id=run.workflow_id,
                    detach=options.detach,
                )
    return None


def _is_meant(invocation: Invocation, record: RunRecord) -> bool:
    """Whether the run is of the repository that was named, if one was."""
    if not invocation.names_repository():
        return True
    location = invocation.repository().location
    return bool(repositories_at(invocation.settings, [record.repository], {location}))


async def _order_of(
    invocation: Invocation, options: ResumeOptions, client: Client | None, record: RunRecord
) -> Order:
    """The run as the journal tells it; what that cannot, the server tells of a run that is open."""
    workflow_id = workflow_of(record.run_id)
    request: Request | None = continued(invocation.settings, invocation.environ, record)
    if request is None and client is not None:
        request = await runs.request_of(client, workflow_id, record.kind)
    if request is None:
        raise _refused(record.run_id, record.status.value)
    return Order(
        request=request,
        repository=known_repository(invocation.settings, record.repository),
        workflow_id=workflow_id,
        detach=options.detach,
    )


def _refused(run: str, status: str) -> UsageError:
    return UsageError(f"run {run} cannot be resumed: {status}", hint="`holdfast backup` starts a new one.")
