"""Finds the runs that wait: a step that fails again and again, a pause, a guard that asks; and says what for.

Nothing of it is an end, so nothing else tells of it: a backup onto a full disk tries again for as long as it takes.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from temporalio.api.failure.v1 import Failure
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import Client, WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.common import SearchAttributeKey
from temporalio.converter import ActivitySerializationContext, DataConverter
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from holdfast.contracts.common import PROGRESS_QUERY, Progress
from holdfast.contracts.guard import GUARD_QUERY, GuardStatus
from holdfast.contracts.verbs import GUARD_WORKFLOW, PRUNE_WORKFLOW, VERBS

_TIMEOUT: Final = timedelta(seconds=3)
_WORKFLOWS: Final = tuple(verb.workflow for verb in VERBS)
_STATUS: Final = SearchAttributeKey.for_keyword("HoldfastStatus")
_PAUSED: Final = "paused"
_MOST_RUNS: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FailingStep:
    """A step that is tried again. kind: the error's class name. message: for people, as it passed the server."""

    kind: str
    message: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingRun:
    """An open run that does not go on by itself. reason: in words."""

    workflow_id: str
    reason: str


def converter_of(client: Client, workflow_id: str, activity: PendingActivityInfo) -> DataConverter:
    """For what was said by this step, and by no other."""
    return client.data_converter.with_context(
        ActivitySerializationContext(
            namespace=client.namespace,
            workflow_id=workflow_id,
            workflow_type=None,
            activity_type=activity.activity_type.name,
            activity_id=activity.activity_id,
            activity_task_queue=None,
            is_local=False,
        )
    )


async def failing_step(
    client: Client, workflow_id: str, pending: Sequence[PendingActivityInfo]
) -> FailingStep | None:
    """The step that has been tried most often, with its error; a worker that died is not one."""
    failed = [step for step in pending if step.last_failure.HasField("application_failure_info")]
    if not failed:
        return None
    step = max(failed, key=lambda step: step.attempt)
    failure = Failure()
    failure.CopyFrom(step.last_failure)
    error = await converter_of(client, workflow_id, step).decode_failure(failure)
    if not isinstance(error, ApplicationError):
        return None
    return FailingStep(kind=error.type or "", message=error.message, attempt=step.attempt)


async def waiting_runs(
    client: Client, queue: str = "", kinds: Sequence[str] = _WORKFLOWS
) -> AsyncIterator[WaitingRun]:
    """The runs that wait; only those of a task queue, if one is given. kinds: types of workflows.

    Raises:
        RPCError: the server does not answer.
    """
    query = f"ExecutionStatus = 'Running' AND WorkflowType IN ({', '.join(map(repr, kinds))})"
    if queue:
        query += f" AND TaskQueue = '{queue}'"
    async for execution in client.list_workflows(query, limit=_MOST_RUNS):
        reason = await waiting_reason(client, execution.id, execution.workflow_type)
        if reason:
            yield WaitingRun(workflow_id=execution.id, reason=reason)


async def waiting_reason(client: Client, workflow_id: str, workflow_type: str) -> str:
    """Why an open run does not go on by itself; empty when it does.

    Raises:
        RPCError: the server does not answer.
    """
    handle = client.get_workflow_handle(workflow_id)
    description = await handle.describe(rpc_timeout=_TIMEOUT)
    if description.typed_search_attributes.get(_STATUS) == _PAUSED:
        return "it is paused"
    step = await failing_step(client, workflow_id, list(description.raw_description.pending_activities))
    if step is not None:
        return f"{step.message.partition(chr(10))[0]} (tried {step.attempt:,} times)"
    if workflow_type not in {GUARD_WORKFLOW, PRUNE_WORKFLOW}:
        return ""
    try:
        if workflow_type == PRUNE_WORKFLOW:
            progress: Progress = await handle.query(
                PROGRESS_QUERY, result_type=Progress, rpc_timeout=_TIMEOUT
            )
            return f"it waits for {progress.waits_for}" if progress.waits_for else ""
        status: GuardStatus = await handle.query(GUARD_QUERY, result_type=GuardStatus, rpc_timeout=_TIMEOUT)
    except (RPCError, WorkflowQueryFailedError, WorkflowQueryRejectedError, ApplicationError):
        return ""
    return f"it asks for an approval: {', '.join(status.waiting)}" if status.waiting else ""
