"""An older database of the server, which was put back, has runs open that have ended.

They are terminated before a worker hears of them, or a restore of last week would go on over what was written since.
"""

import asyncio
import logging
import os
from typing import Final

from temporalio.client import Client
from temporalio.service import RPCError

from holdfast.contracts.identity import run_id
from holdfast.control import runs
from holdfast.control.journal import open_journal
from holdfast.errors import JournalUnavailableError
from holdfast.service.settings.model import Settings
from holdfast.terms import RunStatus

_REASON: Final = "the journal has it as ended: the server's database is older"
_LOG: Final = logging.getLogger("holdfast.server")


async def end_what_is_over(client: Client, settings: Settings) -> None:
    """Terminate the open runs that the journal has as ended."""
    try:
        journal = open_journal(settings, os.environ)
        for run in await runs.open_runs(client):
            record = await asyncio.to_thread(journal.run, run_id(run.workflow_id, run.first_run))
            if record is None or record.status is RunStatus.RUNNING:
                continue
            handle = client.get_workflow_handle(run.workflow_id, run_id=run.workflow_run)
            await handle.terminate(reason=_REASON)
            _LOG.warning(
                "run %s is over, as the journal knows, and was ended on the server", record.run_id[-8:]
            )
    except (JournalUnavailableError, RPCError) as error:
        _LOG.warning("open runs could not be compared with the journal: %s", str(error).partition("\n")[0])
