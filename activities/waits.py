"""Finds what a run waits for: a step that fails again and again, a pause, an approval, a worker that is not there.

Nothing of it is an end, so nothing else tells of it: a backup onto a full disk tries again for as long as it takes.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.failure.v1 import Failure
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse
from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
)
from temporalio.common import SearchAttributeKey
from temporalio.converter import ActivitySerializationContext, DataConverter
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from holdfast.contracts.common import PROGRESS_QUERY, Progress
from holdfast.contracts.control import PAUSED
from holdfast.contracts.guard import GUARD_QUERY, GuardStatus
from holdfast.contracts.verbs import GUARD_WORKFLOW, VERBS
from holdfast.contracts.waiting import WaitsFor
from holdfast.errors import AlarmOpenError, RepositoryLockedError, StorageFullError, StorageUnavailableError
from holdfast.service.waits import Wait, wait_for
from holdfast.units import NS_PER_S, format_bytes, format_duration

_TIMEOUT: Final = timedelta(seconds=3)
_WORKFLOWS: Final = tuple(verb.workflow for verb in VERBS)
_REPORTING: Final = frozenset(verb.workflow for verb in VERBS if verb.reports)
_STATUS: Final = SearchAttributeKey.for_keyword("HoldfastStatus")
_MOST_RUNS: Final = 1_000
_MOST_CHILDREN: Final = 50
_TAKEN_UP_WITHIN_S: Final = 10.0
"""A worker that is free takes a step up at once; one that is busy may need its time."""
_BY_ERROR: Final[Mapping[str, WaitsFor]] = {
    StorageFullError.__name__: WaitsFor.FULL_DISK,
    StorageUnavailableError.__name__: WaitsFor.STORAGE_AWAY,
    RepositoryLockedError.__name__: WaitsFor.LOCK,
    AlarmOpenError.__name__: WaitsFor.APPROVAL,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FailingStep:
    """A step that is tried again. kind: the error's class name. message: for people, as it passed the server."""

    kind: str
    message: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingRun:
    """An open run that does not go on by itself."""

    workflow_id: str
    wait: Wait


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
    """The runs that stand still; only those of a task queue, if one is given. kinds: types of workflows.

    Raises:
        RPCError: the server does not answer.
    """
    query = f"ExecutionStatus = 'Running' AND WorkflowType IN ({', '.join(map(repr, kinds))})"
    if queue:
        query += f" AND TaskQueue = '{queue}'"
    async for execution in client.list_workflows(query, limit=_MOST_RUNS):
        wait = await wait_of(client, execution.id, execution.workflow_type)
        if wait is not None and wait.stands:
            yield WaitingRun(workflow_id=execution.id, wait=wait)


async def wait_of(client: Client, workflow_id: str, workflow_type: str) -> Wait | None:
    """What an open run waits for; None when it goes on.

    Raises:
        RPCError: the server does not answer.
    """
    description = await client.get_workflow_handle(workflow_id).describe(rpc_timeout=_TIMEOUT)
    raw = description.raw_description
    step = await failing_step(client, workflow_id, raw.pending_activities)
    progress = (
        await progress_of(client, workflow_id) if workflow_type in _REPORTING and step is None else None
    )
    answered = progress is not None or workflow_type not in _REPORTING
    found = wait_in(raw, step, progress, paused=is_paused(description), answered=answered)
    if found is None and workflow_type == GUARD_WORKFLOW:
        found = await _approval(client, workflow_id)
    if found is None or not found.stands:
        found = await wait_of_child(client, raw) or found
    return found


def is_paused(description: WorkflowExecutionDescription) -> bool:
    """Whether a run is paused: as the server shows it, which it can without a worker."""
    return description.typed_search_attributes.get(_STATUS) == PAUSED


def wait_in(
    raw: DescribeWorkflowExecutionResponse,
    step: FailingStep | None,
    progress: Progress | None,
    *,
    paused: bool,
    answered: bool,
) -> Wait | None:
    """What a run waits for, by what is known of it. answered: whether a worker has answered for it just now."""
    if paused:
        by = "" if progress is None or progress.waits_kind is not WaitsFor.PAUSED else progress.waits_for
        return wait_for(WaitsFor.PAUSED, by)
    if step is not None:
        message, _, hint = step.message.partition("\n")
        what = _BY_ERROR.get(step.kind, WaitsFor.ERROR)
        return Wait(what=what, detail=message, next_step=hint.strip(), attempts=step.attempt)
    if progress is not None and (progress.waits_for or progress.waits_kind is not None):
        return wait_for(progress.waits_kind or WaitsFor.LOCK, progress.waits_for)
    untaken = _untaken(raw, answered=answered)
    if untaken:
        return wait_for(WaitsFor.NO_WORKER, untaken)
    if progress is not None and progress.throttle.limits:
        return wait_for(WaitsFor.THROTTLE, progress.throttle.words(format_bytes))
    return None


async def wait_of_child(client: Client, raw: DescribeWorkflowExecutionResponse) -> Wait | None:
    """What a run waits for that this one has begun; None where none stands still, or none can be seen."""
    children = list(raw.pending_children)[:_MOST_CHILDREN]
    looks = (wait_of(client, child.workflow_id, child.workflow_type_name) for child in children)
    found = await asyncio.gather(*looks, return_exceptions=True)
    return next((wait for wait in found if isinstance(wait, Wait) and wait.stands), None)


async def progress_of(client: Client, workflow_id: str) -> Progress | None:
    """What a run answers about its progress; None where nobody does, or nobody who is believed."""
    handle = client.get_workflow_handle(workflow_id)
    try:
        answer: Progress = await handle.query(PROGRESS_QUERY, result_type=Progress, rpc_timeout=_TIMEOUT)
    except (RPCError, WorkflowQueryFailedError, WorkflowQueryRejectedError, ApplicationError):
        return None
    return answer


async def _approval(client: Client, workflow_id: str) -> Wait | None:
    """What a guard asks."""
    handle = client.get_workflow_handle(workflow_id)
    try:
        status: GuardStatus = await handle.query(GUARD_QUERY, result_type=GuardStatus, rpc_timeout=_TIMEOUT)
    except (RPCError, WorkflowQueryFailedError, WorkflowQueryRejectedError, ApplicationError):
        return None
    return wait_for(WaitsFor.APPROVAL, ", ".join(status.waiting)) if status.waiting else None


def _untaken(raw: DescribeWorkflowExecutionResponse, *, answered: bool) -> str:
    """Since when nobody has taken a run's work up, in words; empty where somebody has, or it is too early to tell."""
    if not answered and raw.HasField("pending_workflow_task"):
        waited_ns = _since(raw.pending_workflow_task.original_scheduled_time)
        late = waited_ns >= _TAKEN_UP_WITHIN_S * NS_PER_S
        return f"none serves the queue {raw.execution_config.task_queue.name}" if late else ""
    pending = raw.pending_activities
    scheduled = PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
    if not pending or any(step.state != scheduled for step in pending):
        return ""
    waited_ns = max(_since(step.scheduled_time) for step in pending)
    if waited_ns < _TAKEN_UP_WITHIN_S * NS_PER_S:
        return ""
    return f"its next step has not been taken up for {format_duration(waited_ns)}"


def _since(moment: Timestamp) -> int:
    """Nanoseconds since then, by this host's clock."""
    return time.time_ns() - moment.ToNanoseconds()
