"""Journal and settings know better once the server's database was lost, or an older one was put back.

    1. runs that the older database has open, and the journal as ended, are terminated before a worker hears of them
       (starter/host/ended_runs.py);
    2. runs that the journal has as running, and no server knows, go on in their workspaces (`holdfast up` starts them
       again; a command does so with the run that it is asked for, see control/continuation.py);
    3. schedules that the settings declare, and a new database cannot have, are made again by `holdfast up`.

Nothing here fails its caller: each part that cannot be done is told of, and done by hand.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping
from typing import Final

from temporalio.client import Client
from temporalio.service import RPCError

from holdfast.contracts.identity import workflow_of
from holdfast.control import runs
from holdfast.control.continuation import continued
from holdfast.control.journal import open_journal
from holdfast.control.names import called_on_server
from holdfast.control.requests import base_queue
from holdfast.control.schedules import server
from holdfast.control.schedules.listing import planned
from holdfast.control.schedules.plan import Step
from holdfast.control.schedules.upkeep import ensure_upkeep
from holdfast.errors import HoldfastError
from holdfast.service.settings.model import Settings
from holdfast.terms import RunStatus

_LOOKED_AT: Final = 1_000
_LOG: Final = logging.getLogger("holdfast.server")


async def bring_back(
    client: Client, settings: Settings, environ: Mapping[str, str], queues: Collection[str]
) -> None:
    """Start lost runs again, and make lost schedules, for a service that serves `queues`."""
    try:
        await _go_on(client, settings, environ, queues)
    except (HoldfastError, RPCError) as error:
        _LOG.warning("lost runs could not be started again (`holdfast resume` does that): %s", _words(error))
    try:
        await _make_schedules(client, settings)
        await ensure_upkeep(client, settings, base_queue(settings, ""))
    except (HoldfastError, RPCError) as error:
        _LOG.warning("schedules could not be made again (`holdfast schedule apply`): %s", _words(error))


async def _go_on(
    client: Client, settings: Settings, environ: Mapping[str, str], queues: Collection[str]
) -> None:
    journal = open_journal(settings, environ)
    lost = await asyncio.to_thread(journal.runs, _LOOKED_AT, statuses=[RunStatus.RUNNING])
    taken = {run.workflow_id for run in await runs.open_runs(client)}
    for record in lost:  # newest first: of one subject only that
        workflow_id = workflow_of(record.run_id)
        queue = base_queue(settings, record.repository)
        request = continued(settings, environ, record)
        if workflow_id in taken or queue not in queues or request is None:
            continue
        taken.add(workflow_id)
        await runs.start(client, request, workflow_id, queue, called=called_on_server(settings, request))
        done = "goes on" if request.resume_run else "begins again"
        _LOG.warning("the server had forgotten run %s; it %s", record.run_id[-8:], done)


async def _make_schedules(client: Client, settings: Settings) -> None:
    for step in await planned(client, settings):
        if step.step is Step.CREATE:
            await server.carry_out(client, step)
            _LOG.warning("the schedule %s was not on the server; it is made again, and not paused", step.id)
        else:
            _LOG.warning("the schedule %s differs from the settings: see `holdfast schedule apply`", step.id)


def _words(error: HoldfastError | RPCError) -> str:
    return str(error).partition("\n")[0]
