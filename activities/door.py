"""Every message passes a door before its activity sees it: whose run it is about is looked at.

Two questions, whichever activity it is. Is there a workflow behind it (an activity that stands alone belongs to no run
of ours)? Is the run that it names the asking workflow's own? That keeps a workflow from closing, recording or answering
for a run of another's. Its form was looked at when it was converted (contracts/checks.py).
"""

from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from holdfast.contracts.common import RunRef
from holdfast.contracts.identity import is_own

REFUSED = "MessageRefusedError"


class Door(Interceptor):
    """For a worker's `interceptors`."""

    def intercept_activity(
        self,
        next: ActivityInboundInterceptor,  # noqa: A002 - Temporal's name
    ) -> ActivityInboundInterceptor:
        return _Inbound(super().intercept_activity(next))


class _Inbound(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - Temporal's name
        reason = refusal(input.args, activity.info().workflow_id or "")
        if reason:
            activity.logger.warning("refused: %s", reason)
            raise ApplicationError(
                f"the worker refuses what it was asked: {reason}", type=REFUSED, non_retryable=True
            )
        return await super().execute_activity(input)


def refusal(messages: Any, workflow_id: str) -> str:
    """Why an activity with these messages is not carried out for that workflow; empty when it is."""
    if not workflow_id:
        return "no run stands behind it"
    for message in messages:
        run = getattr(message, "run", None)
        if isinstance(run, RunRef) and not (
            is_own(run.run_id, workflow_id) and is_own(run.record_id, workflow_id)
        ):
            return "the run that it names is another workflow's"
    return ""
