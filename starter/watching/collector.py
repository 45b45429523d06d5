"""Reports changes of a source to its collector: one call that starts the collector if it does not run."""

import asyncio
import random
import uuid
from datetime import timedelta
from typing import Final

from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode

from holdfast.contracts import identity
from holdfast.contracts.backup import BackupRequest
from holdfast.contracts.common import Trigger, TriggerKind
from holdfast.contracts.watch import (
    CHANGES_UPDATE,
    SOURCE_WATCH_WORKFLOW,
    Changes,
    WatchConditions,
    WatchOrder,
    WatchStatus,
)
from holdfast.control import requests
from holdfast.control.runs import to_update
from holdfast.service.settings.model import Settings, SourceProfile
from holdfast.service.settings.watch import WatchSettings

WATCH: Final = "watch"
_REPEATED: Final = frozenset(
    (RPCStatusCode.RESOURCE_EXHAUSTED, RPCStatusCode.ABORTED, RPCStatusCode.UNAVAILABLE)
)
_ATTEMPTS: Final = 60
_LONGEST_PAUSE_S: Final = 2.0
_ANSWER_WITHIN: Final = timedelta(seconds=30)


def watch_id(settings: Settings, source: SourceProfile) -> str:
    """The id of a source's collector."""
    return identity.workflow_id(WATCH, settings.host, source.repository, source.name)


def watch_order(settings: Settings, source: SourceProfile) -> WatchOrder:
    """What a collector is started with."""
    watch = source.watch or WatchSettings()
    request = BackupRequest(
        repository=source.repository,
        source=source.name,
        strategy=watch.strategy,
        trigger=Trigger(kind=TriggerKind.EVENT),
        verify=source.verify,
        policy=requests.run_policy(settings),
    )
    return WatchOrder(
        request=request,
        workflow_id=requests.workflow_id_of(settings, request),
        conditions=WatchConditions(
            files=watch.files or 0,
            size_bytes=watch.size_bytes or 0,
            file_size_bytes=watch.file_size_bytes or 0,
            quiet_s=watch.quiet_s,
            max_age_s=watch.max_age_s,
            min_interval_s=watch.min_interval_s,
        ),
    )


async def report(client: Client, settings: Settings, source: SourceProfile, changes: Changes) -> WatchStatus:
    """Tell the collector of a source; answers what it has pending.

    The server takes ten updates of one workflow at a time and refuses the others, and it aborts those that it has taken
    when the workflow's task is lost: all of them are repeated here, under the id by which the server knows them again.

    Raises:
        RPCError: the server, or the workers behind it, did not answer in time.
        WorkflowUpdateFailedError: the collector refuses the report.
    """
    attempts, update_id = 1, str(uuid.uuid4())
    while True:
        try:
            return await _report(client, settings, source, changes, update_id)
        except RPCError as error:
            if error.status not in _REPEATED or attempts >= _ATTEMPTS:
                raise
        attempts += 1
        await asyncio.sleep(random.uniform(0, _LONGEST_PAUSE_S))  # noqa: S311 - only spreads callers out


async def _report(
    client: Client, settings: Settings, source: SourceProfile, changes: Changes, update_id: str
) -> WatchStatus:
    start: WithStartWorkflowOperation[object, WatchStatus] = WithStartWorkflowOperation(
        SOURCE_WATCH_WORKFLOW,
        watch_order(settings, source),
        id=watch_id(settings, source),
        task_queue=requests.base_queue(settings, source.repository),
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        static_summary=f"changes of {source.name}",
    )
    status: WatchStatus = await client.execute_update_with_start_workflow(
        CHANGES_UPDATE,
        changes,
        start_workflow_operation=start,
        id=update_id,
        result_type=WatchStatus,
        rpc_timeout=_ANSWER_WITHIN,
    )
    return to_update(status, update_id)
