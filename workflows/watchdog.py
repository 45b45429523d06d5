"""The watchdog workflow: looks once for what has not run; a schedule starts it every few minutes.

What it has told already is its result, and Temporal hands a schedule's next run the result of the one before: no
timer, no state beside the server's, and nothing to keep alive.
"""

import contextlib

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from holdfast.contracts.notify import WATCH, WATCHDOG_WORKFLOW, WatchdogRequest, WatchInput, WatchState
from holdfast.workflows.policies import ActivityCalls


@workflow.defn(name=WATCHDOG_WORKFLOW)
class WatchdogWorkflow:
    """One look at the sources and schedules of one worker's settings."""

    @workflow.run
    async def run(self, request: WatchdogRequest) -> WatchState:
        """Look, and remember what was told."""
        state = WatchState()
        if workflow.has_last_completion_result():
            with contextlib.suppress(
                ApplicationError
            ):  # what cannot be believed is forgotten: it is told again
                state = workflow.get_last_completion_result(WatchState) or state
        return await ActivityCalls(policy=request.policy).tried(
            WATCH,
            WatchInput(state=state, now_ns=workflow.time_ns()),
            WatchState,
            "look for overdue sources and missed schedules",
            timeout_s=request.policy.light_timeout_s,
        )
