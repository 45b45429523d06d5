"""Starts the guard of a source, decides what it asks, and follows it until it asks something or ends."""

import asyncio
import uuid
from typing import Any, Final

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle, WorkflowUpdateFailedError

from holdfast.activities.waits import WaitingRun, waiting_runs
from holdfast.contracts.guard import (
    APPROVE_UPDATE,
    GUARD_QUERY,
    Approval,
    GuardRequest,
    GuardResult,
    GuardStatus,
)
from holdfast.contracts.identity import workflow_id
from holdfast.contracts.verbs import GUARD_WORKFLOW
from holdfast.control import requests, runs
from holdfast.control.known_paths import KnownPaths
from holdfast.errors import UsageError
from holdfast.service.settings.model import Settings, SourceProfile
from holdfast.terms import RunKind

GuardHandle = WorkflowHandle[Any, GuardResult]

_LOOK_AGAIN_S: Final = 0.3


async def start(client: Client, settings: Settings, request: GuardRequest) -> GuardHandle:
    """Have a source looked at, or take the look that is under way."""
    return await runs.start_once(
        client,
        GUARD_WORKFLOW,
        request,
        GuardResult,
        workflow_id=requests.workflow_id_of(settings, request),
        queue=requests.base_queue(settings, request.repository),
        summary=f"guard of {request.source}",
    )


async def approve(
    client: Client, settings: Settings, source: SourceProfile, approval: Approval
) -> GuardHandle:
    """Decide what a guard asks.

    Raises:
        UsageError: no guard waits, or it refuses the answer.
        UntrustedError: what it says to that is not believed.
    """
    name = workflow_id(RunKind.GUARD, settings.host, source.repository, source.name)
    if not await runs.is_open(client, name):
        raise UsageError(
            f"no guard of {source.name} waits for approval",
            hint=f"`holdfast guard {source.name}` looks again.",
        )
    handle: GuardHandle = client.get_workflow_handle(name, result_type=GuardResult)
    update_id = str(uuid.uuid4())
    try:
        status = await handle.execute_update(APPROVE_UPDATE, approval, id=update_id, result_type=GuardStatus)
    except WorkflowUpdateFailedError as error:
        raise UsageError(str(error.cause), hint=f"`holdfast guard {source.name}` says what waits.") from None
    runs.to_update(status, update_id)
    return handle


async def waiting_guards(client: Client) -> list[WaitingRun]:
    """The guards that ask something.

    Raises:
        RPCError: the server does not answer.
    """
    return [guard async for guard in waiting_runs(client, kinds=(GUARD_WORKFLOW,))]


async def follow(handle: GuardHandle, known: KnownPaths) -> GuardStatus | GuardResult:
    """What the guard asks, or how it ended; returns at the first of the two.

    Raises:
        HoldfastError: what ended it.
    """
    while True:
        description = await handle.describe(rpc_timeout=runs.RPC_TIMEOUT)
        if description.status is not WorkflowExecutionStatus.RUNNING:
            return await runs.result_of(handle, lambda: None, known)
        status: GuardStatus = await handle.query(GUARD_QUERY, result_type=GuardStatus)
        if status.waiting and status.found is not None:
            return status
        await asyncio.sleep(_LOOK_AGAIN_S)
