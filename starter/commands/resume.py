"""`holdfast resume`: go on with an interrupted run."""

import asyncio
from dataclasses import dataclass, replace
from typing import Annotated, Final

import typer

from control import listing, records, runs
from holdfast.errors import EXIT_COMPLETE, UsageError
from holdfast.terms import RunKind, Strategy, VerifyLevel
from service.journal.records import RunRecord, workflow_of
from starter.host.need import Need, open_service
from starter.requests import orders
from starter.requests.continuation import interrupted, was_opened
from starter.runs import conduct
from starter.shell.invocation import Invocation
from starter.shell.options import CommonOptions
from starter.shell.output import say, say_json

_OF_SYSTEMS: Final = frozenset((RunKind.SYSTEM_BACKUP, RunKind.SYSTEM_RESTORE))


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
    if options.run and await _of_a_system(invocation, options):
        return EXIT_COMPLETE
    order = await _recorded(invocation, options) or await _on_server(invocation, options)
    if order is None:
        raise UsageError(
            "no run was interrupted", hint="`holdfast status` lists the runs; `holdfast backup` starts one."
        )
    orders.check_repository(order.repository)
    return await conduct.carry_out(invocation, replace(order, lift_pause=True))


async def _of_a_system(invocation: Invocation, options: ResumeOptions) -> bool:
    """Let a paused run of a system go on, if that is meant; whether it was."""
    client = await conduct.find_client(invocation)
    if client is None:
        return False
    listed = await listing.listed_runs(invocation.settings, client, 1000)
    run = next((run for run in listed if run.view is not None and run.kind in _OF_SYSTEMS), None)
    if run is None or listing.find_run(listed, options.run) is not run:
        return False
    await runs.lift_pause(runs.handle_of(client, run.kind, run.workflow_id))
    if options.json:
        say_json({"message_type": "resumed", "run_id": run.run_id})
    elif not options.quiet:
        say(f"run {run.short_id} goes on; `holdfast status {run.short_id}` shows it")
    return True


async def _recorded(invocation: Invocation, options: ResumeOptions) -> conduct.Order | None:
    """The run that the journal knows."""
    settings = invocation.settings
    client = await conduct.find_client(invocation)
    records = listing.journal_runs(settings, 1000)
    opened = [] if client is None else [run.workflow_id for run in await runs.open_runs(client)]
    if options.run:
        listed = [listing.ListedRun(run_id=r.run_id, kind=r.kind, record=r) for r in records]
        record = listing.find_run(listed, options.run).record
        if record is None or record not in interrupted([record], opened):
            raise UsageError(
                f"run {options.run} cannot be resumed: {'unknown' if record is None else record.status.value}",
                hint="`holdfast backup` starts a new one.",
            )
        return _order_of(invocation, options, record)
    for record in interrupted(records, opened):
        if _is_meant(invocation, record):
            return _order_of(invocation, options, record)
    return None


async def _on_server(invocation: Invocation, options: ResumeOptions) -> conduct.Order | None:
    """A run that only the server knows: it was interrupted before the journal heard of it."""
    async with open_service(invocation.settings, Need(), invocation.environ) as service:
        for run in await runs.open_runs(service.client):
            request = await runs.request_of(service.client, run.workflow_id, run.kind)
            if request is not None:
                return conduct.Order(
                    request=request,
                    repository=orders.known_repository(invocation.settings, request.repository),
                    workflow_id=run.workflow_id,
                    detach=options.detach,
                )
    return None


def _is_meant(invocation: Invocation, record: RunRecord) -> bool:
    """Whether the run is of the repository that was named, if one was."""
    if not invocation.names_repository():
        return True
    try:
        known = orders.known_repository(invocation.settings, record.repository)
    except UsageError:
        return False
    return known.location == invocation.repository().location


def _order_of(invocation: Invocation, options: ResumeOptions, record: RunRecord) -> conduct.Order:
    return conduct.Order(
        request=_request_of(invocation, record),
        repository=orders.known_repository(invocation.settings, record.repository),
        workflow_id=workflow_of(record.run_id),
        detach=options.detach,
    )


def _request_of(invocation: Invocation, record: RunRecord) -> runs.Request:
    """The request as far as the journal tells it; the server, where it knows the run, tells it in full."""
    changed = orders.source_changed(invocation.settings, invocation.environ, record)  # then it begins again
    resume_run = record.workspace_id if was_opened(record) and not changed else ""
    asked = records.request_of(record)
    if asked is not None:
        return replace(asked, resume_run=resume_run, policy=orders.run_policy(invocation.settings))
    if record.kind is RunKind.BACKUP:
        profile = invocation.settings.sources.get(record.source)
        return replace(
            orders.backup_request(
                invocation.settings,
                repository=record.repository,
                source=record.source,
                strategy=Strategy(record.strategy or Strategy.AUTO),
                verify=profile.verify if profile is not None else VerifyLevel.STRUCTURE,
                host=record.host,
            ),
            resume_run=resume_run,
        )
    if record.kind is RunKind.VERIFY:
        return replace(
            orders.verify_request(
                invocation.settings,
                repository=record.repository,
                selection=record.source,
                share=record.strategy,
            ),
            resume_run=resume_run,
        )
    if record.kind is RunKind.DRILL:
        return orders.drill_request(
            invocation.settings, repository=record.repository, drill=record.strategy, source=record.source
        )
    return replace(
        orders.restore_request(
            invocation.settings,
            repository=record.repository,
            selection=record.source,
            verify=VerifyLevel.NONE,
        ),
        resume_run=resume_run,
    )
