"""`holdfast cancel` asks a run to stop."""

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Annotated, Final

import typer

from holdfast.control import runs, updates
from holdfast.control.listing import INTERRUPTED, ListedRun, journal_runs, list_runs
from holdfast.control.requests import base_queue
from holdfast.starter.host.service import Need, find_client, open_service
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import CommonOptions, NamedRun
from holdfast.starter.shell.output import tell_done
from holdfast.starter.shell.person import asked
from holdfast.starter.view.listing import told

_FORCED: Final = "holdfast cancel --force"


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOptions(CommonOptions):
    """Options of `cancel`."""

    run: NamedRun
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="End it on the server, for a run that does not listen. It keeps what it has stored.",
        ),
    ] = False


def cancel(options: CancelOptions) -> int:
    """Ask a run to stop. It keeps what it has stored; `holdfast resume` goes on with it."""
    with runs.server_errors():
        return asyncio.run(_cancel(Invocation.of(options), options))


async def _cancel(invocation: Invocation, options: CancelOptions) -> int:
    client = await find_client(invocation.settings, invocation.environ)
    if client is not None:
        run = told(await list_runs(invocation.settings, invocation.environ, client)).find(options.run)
        if run.view is None:
            raise updates.not_under_way(run)
        if options.force:
            # A run that a stranger began or reset cannot listen (docs/security.md), nor one whose workers are gone.
            await runs.handle_of(client, run.kind, run.workflow_id).terminate(reason=_FORCED)
            return _tell(options, run, "was ended on the server")
        await updates.cancel(client, run, asked())
        return _tell(options, run, "was asked to stop")
    return await _cancel_sleeping(invocation, options)


async def _cancel_sleeping(invocation: Invocation, options: CancelOptions) -> int:
    """No server runs, but a run may lie open in its database: it needs a worker to come to its end."""
    run = told(journal_runs(invocation.settings, invocation.environ)).find(options.run)
    if run.status != INTERRUPTED:
        raise updates.not_under_way(run)
    need = Need(queue=base_queue(invocation.settings, run.repository))
    async with open_service(invocation.settings, need, invocation.environ) as service:
        if not await runs.is_open(service.client, run.workflow_id):
            raise updates.not_under_way(run)
        handle = runs.handle_of(service.client, run.kind, run.workflow_id)
        await runs.ask_to_stop(handle)
        with contextlib.suppress(runs.RunCancelledError):
            await runs.result_of(handle, lambda: None)
    return _tell(options, run, "is stopped")


def _tell(options: CancelOptions, run: ListedRun, what: str) -> int:
    words = f"run {run.short_id} {what}; `holdfast resume {run.short_id}` goes on with it"
    return tell_done(options, {"message_type": "cancelled", "run_id": run.run_id}, words)
