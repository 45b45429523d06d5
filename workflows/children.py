"""Runs that a workflow starts on somebody's behalf, under the id that a person's command would use.

One id for each subject is what keeps two backups of a source from running at once. The server refuses a second one;
here that is an answer, not an error. What is started goes on when its starter is terminated, and is cancelled with it.
"""

from typing import TypeVar

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, ChildWorkflowError, WorkflowAlreadyStartedError

from workflows.failures import failure_of

ResultT = TypeVar("ResultT")


async def start_run(
    name: str, request: object, workflow_id: str, result: type[ResultT], *, task_queue: str | None = None
) -> "workflow.ChildWorkflowHandle[object, ResultT] | None":
    """Start a run; None when one of this id is under way. task_queue: None for the starter's own."""
    try:
        return await workflow.start_child_workflow(
            name,
            request,
            id=workflow_id,
            task_queue=task_queue,
            result_type=result,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            cancellation_type=workflow.ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
    except WorkflowAlreadyStartedError:
        return None


def child_failure(error: ChildWorkflowError) -> ApplicationError:
    """The error that ended the run, without Temporal's wrapper."""
    cause = error.cause
    return failure_of(error if cause is None else cause).as_workflow_failure()
