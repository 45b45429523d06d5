"""A schedule starts a small workflow, which starts the run itself, as its child, under the subject's one id.

Temporal appends the time to the id of whatever a schedule starts, so a schedule that started a backup directly would
not collide with one that a person started (docs/adr/0017). The schedule's own rules (overlap, pause on failure,
catch-up) see this workflow, which lasts as long as the run and fails when it fails. A system's run tells in its result
that no member could be backed up; to the schedule that is a failure like a source's.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import ApplicationError, ChildWorkflowError, is_cancelled_exception

from holdfast.contracts.common import Trigger, TriggerKind
from holdfast.contracts.identity import parse_workflow_id, part_id
from holdfast.contracts.scheduled import (
    SCHEDULED_RUN_WORKFLOW,
    Busy,
    ScheduledOutcome,
    ScheduledResult,
    ScheduledRun,
)
from holdfast.contracts.system import SystemResult
from holdfast.contracts.verbs import asked_by
from holdfast.contracts.warrant import MALFORMED
from holdfast.terms import RunStatus
from holdfast.workflows.children import child_failure, result_of, start_run

_DUE: Final = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")
_SYSTEM_FAILED: Final = "SystemFailed"
_FIRST_WAIT_S: Final = 5
_LONGEST_WAIT_S: Final = 300


@workflow.defn(name=SCHEDULED_RUN_WORKFLOW)
class ScheduledRunWorkflow:
    """One time of one schedule."""

    @workflow.run
    async def run(self, order: ScheduledRun) -> ScheduledResult:
        """Start the run and wait for its end; fails as it fails."""
        workflow_id = order.workflow_id
        if order.busy is Busy.BESIDE:
            workflow_id = part_id(workflow_id, workflow.info().run_id[:13])
        wait_s = _FIRST_WAIT_S
        while True:
            ran = await self._run(order, workflow_id)
            if ran:
                return ScheduledResult(outcome=ScheduledOutcome.RAN, workflow_id=workflow_id)
            if order.busy is not Busy.WAIT:
                return ScheduledResult(
                    outcome=ScheduledOutcome.SKIPPED,
                    workflow_id=workflow_id,
                    reason="a run of this subject was under way",
                )
            await workflow.sleep(timedelta(seconds=wait_s))
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(order)

    async def _run(self, order: ScheduledRun, workflow_id: str) -> bool:
        """Whether the run could be started; when it could, it has ended."""
        name, request, result = _child(order)
        about = parse_workflow_id(workflow_id)
        summary = f"{about.kind} of {about.subject}"
        child = await start_run(name, request, workflow_id, summary=summary)
        if child is None:
            return False
        try:
            ended = await result_of(child, result)
        except (ChildWorkflowError, ApplicationError) as error:
            if not is_cancelled_exception(error):
                raise child_failure(error) from error
            if workflow.cancellation_reason() is not None:
                raise
            # The run itself was stopped: no fault of the schedule's, and no reason to pause it.
            return True
        if isinstance(ended, SystemResult) and ended.status is RunStatus.FAILED:
            raise _system_failure(ended)
        return True


def _child(order: ScheduledRun) -> tuple[str, object, type[object]]:
    request = order.request
    if request is None:
        raise ApplicationError("the schedule says nothing to run", type=MALFORMED, non_retryable=True)
    trigger = Trigger(kind=TriggerKind.SCHEDULE, by=order.schedule, evidence=_evidence())
    verb = asked_by(request)
    return verb.workflow, replace(request, trigger=trigger), verb.result


def _system_failure(ended: SystemResult) -> ApplicationError:
    hint = f"`holdfast system show {ended.system}` says why"
    return ApplicationError(
        f"nothing of the system {ended.system} is recoverable as of this run\n{hint}",
        type=_SYSTEM_FAILED,
        non_retryable=True,
    )


def _evidence() -> str:
    due = workflow.info().typed_search_attributes.get(_DUE)
    return "" if due is None else f"due {due.isoformat(timespec='seconds')}"
