"""Looks after runs that were ended from outside: their record says "running", and no step is left to correct it.

One worker process of a host does this beside its work. A run is taken to have ended only when two looks in a row find
no open workflow of its id, because its own end may be about to be written.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Final

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from holdfast.activities.notify import NotifyActivities
from holdfast.activities.services import Services
from holdfast.contracts.identity import workflow_of
from holdfast.errors import JournalUnavailableError
from holdfast.service.journal.journal import Journal
from holdfast.service.journal.outside import open_records, record_end
from holdfast.service.journal.records import RunRecord

LOOK_EVERY_S: Final = 20.0
_LOG: Final = logging.getLogger(__name__)
_HOW: Final[Mapping[WorkflowExecutionStatus, str]] = {
    WorkflowExecutionStatus.TERMINATED: "terminated on the server",
    WorkflowExecutionStatus.TIMED_OUT: "timed out on the server",
    WorkflowExecutionStatus.COMPLETED: "the server has an end of it that no worker of this host recorded",
    WorkflowExecutionStatus.FAILED: "the server has an end of it that no worker of this host recorded",
    WorkflowExecutionStatus.CANCELED: "the server has an end of it that no worker of this host recorded",
}


class OutsideWatch:
    """Finds them, records how they ended, and has people told."""

    def __init__(self, client: Client, services: Services, notify: NotifyActivities) -> None:
        self._client = client
        self._services = services
        self._notify = notify
        self._suspects: frozenset[str] = frozenset()

    async def keep(self) -> None:
        """Look now and then. Never ends."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self.look()
            except (JournalUnavailableError, RPCError) as error:
                _LOG.debug("open runs could not be looked after: %s", error)

    async def look(self) -> list[RunRecord]:
        """Look once; the records of runs that turned out to have ended.

        Raises:
            JournalUnavailableError, RPCError: nobody can look.
        """
        journal = self._services.journal.journal
        gone = {record.run_id: (record, how) for record, how in await self._gone(journal)}
        sure = [gone[run_id] for run_id in self._suspects if run_id in gone]
        self._suspects = frozenset(gone)
        ended: list[RunRecord] = []
        for record, how in sure:
            for run in await asyncio.to_thread(record_end, journal, [record], how, time.time_ns()):
                _LOG.warning("run %s ended from outside: %s", run.run_id, how)
                await asyncio.to_thread(self._notify.tell_run, run)
                ended.append(run)
        return ended

    async def _gone(self, journal: Journal) -> list[tuple[RunRecord, str]]:
        shared = self._services.settings.journal.url is not None
        host = self._services.host if shared else None  # each host looks after its own
        found = []
        for record in await asyncio.to_thread(open_records, journal, host=host):
            how = await how_ended(self._client, workflow_of(record.run_id))
            if how:
                found.append((record, how))
        return found


async def how_ended(client: Client, workflow_id: str) -> str:
    """Say in a few words how the newest workflow of an id ended; empty while it is open.

    Raises:
        RPCError: the server does not say.
    """
    try:
        description = await client.get_workflow_handle(workflow_id).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return "deleted on the server, or lost with its database"
        raise
    return "" if description.status is None else _HOW.get(description.status, "")
