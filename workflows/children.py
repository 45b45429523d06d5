"""Runs that a workflow starts on behalf of others, under the id that a person's command would use.

One id for each subject is what keeps two backups of a source from running at once. The server refuses a second one;
here that is an answer, not an error. What is started goes on when its starter is terminated, and is cancelled with it.
"""

from typing import TypeVar

from temporalio import workflow
from temporalio.common import RawValue, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, ChildWorkflowError, WorkflowAlreadyStartedError

from holdfast.workflows.answers import answer_of, check_run
from holdfast.workflows.failures import failure_of

ResultT = TypeVar("ResultT")
Child = workflow.ChildWorkflowHandle[object, RawValue | None]
"""A run that was started; `result_of` waits for its end."""


async def start_run(
    name: str, request: object, workflow_id: str, *, summary: str, task_queue: str | None = None
) -> "Child | None":
    """Start a run; None when one of this id is under way. task_queue: None for the starter's own.

    summary: tells it from the starter's other runs in the Web UI, where each would have the name of its type.
    """
    try:
        return await workflow.start_child_workflow(
            name,
            request,
            id=workflow_id,
            task_queue=task_queue,
            result_type=RawValue,
            static_summary=summary,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            cancellation_type=workflow.ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
    except WorkflowAlreadyStartedError:
        return None


async def result_of(child: Child, result: type[ResultT]) -> ResultT:
    """The result of a run.

    Raises:
        ChildWorkflowError: it failed, or was cancelled.
        ApplicationError: its result is not believed.
    """
    answer = await answer_of(child, result)
    check_run(answer, child.first_execution_run_id)
    return answer


def child_failure(error: ChildWorkflowError | ApplicationError) -> ApplicationError:
    """The error that ended the run, without Temporal's wrapper."""
    cause = error.cause if isinstance(error, ChildWorkflowError) else None
    return failure_of(error if cause is None else cause).as_workflow_failure()
