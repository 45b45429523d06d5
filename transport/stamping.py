"""What a client asks is stamped with a warrant: what for, until when, and that it counts once.

An interceptor, so that it is one place for all commands and for other services, whatever they send.
"""

import inspect
import secrets
import time
from collections.abc import Sequence
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.client import (
    CreateScheduleInput,
    DescribeWorkflowInput,
    Interceptor,
    OutboundInterceptor,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleHandle,
    ScheduleUpdate,
    ScheduleUpdateInput,
    SignalWorkflowInput,
    StartWorkflowInput,
    StartWorkflowUpdateInput,
    StartWorkflowUpdateWithStartInput,
    UpdateScheduleInput,
    WorkflowHandle,
    WorkflowUpdateHandle,
)

from holdfast.contracts.warrant import (
    PATIENT_S,
    PROMPT_S,
    SCHEDULE,
    SIGNAL,
    START,
    UPDATE,
    Stamped,
    Warrant,
    purpose,
)


def fresh_warrant(purposes: Sequence[str], *, lasts_s: int, run: str = "") -> Warrant:
    """A warrant that begins now."""
    return Warrant(
        purposes=tuple(purposes), run=run, until_s=int(time.time()) + lasts_s, once=secrets.token_hex(8)
    )


class Stamping(Interceptor):
    """For the interceptors of a client whose codec signs."""

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:  # noqa: A002 - Temporal's name
        return _Stamping(super().intercept_client(next))


class _Stamping(OutboundInterceptor):
    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:  # noqa: A002
        input.args = _stamped(input.args, purpose(START, input.workflow), PROMPT_S)
        if input.start_signal is not None:
            input.start_signal_args = _stamped(
                input.start_signal_args, purpose(SIGNAL, input.start_signal), PATIENT_S
            )
        return await super().start_workflow(input)

    async def signal_workflow(self, input: SignalWorkflowInput) -> None:  # noqa: A002
        run = await self._run(input.id, input.run_id)
        input.args = _stamped(input.args, purpose(SIGNAL, input.signal), PATIENT_S, run)
        await super().signal_workflow(input)

    async def start_workflow_update(self, input: StartWorkflowUpdateInput) -> WorkflowUpdateHandle[Any]:  # noqa: A002
        run = await self._run(input.id, input.run_id or input.first_execution_run_id)
        input.args = _stamped(input.args, purpose(UPDATE, input.update), PROMPT_S, run)
        return await super().start_workflow_update(input)

    async def start_update_with_start_workflow(
        self,
        input: StartWorkflowUpdateWithStartInput,  # noqa: A002
    ) -> WorkflowUpdateHandle[Any]:
        start, update = input.start_workflow_input, input.update_workflow_input
        start.args = _stamped(start.args, purpose(START, start.workflow), PROMPT_S)
        update.args = _stamped(update.args, purpose(UPDATE, update.update), PROMPT_S)
        return await super().start_update_with_start_workflow(input)

    async def _run(self, workflow_id: str, known: str | None) -> str:
        """The run that is meant: what is asked of it must not be asked of a later one of the same id."""
        if known:
            return known
        asked = DescribeWorkflowInput(id=workflow_id, run_id=None, rpc_metadata={}, rpc_timeout=None)
        description = await self.describe_workflow(asked)
        info = description.raw_description.workflow_execution_info
        return info.first_run_id or description.run_id

    async def create_schedule(self, input: CreateScheduleInput) -> ScheduleHandle:  # noqa: A002
        _stamp_schedule(input.schedule)
        return await super().create_schedule(input)

    async def update_schedule(self, input: UpdateScheduleInput) -> None:  # noqa: A002
        asked = input.updater

        async def updater(standing: ScheduleUpdateInput) -> ScheduleUpdate | None:
            update = asked(standing)
            update = await update if inspect.isawaitable(update) else update
            if update is not None:
                _stamp_schedule(update.schedule)
            return update

        input.updater = updater
        await super().update_schedule(input)


def _stamp_schedule(schedule: Schedule) -> None:
    """What a schedule starts stands on the server for as long as the schedule: no end, and again and again."""
    action = schedule.action
    if not isinstance(action, ScheduleActionStartWorkflow) or not action.args:
        return
    if not isinstance(action.args[0], Stamped | Payload):  # a payload is what the server has already
        warrant = Warrant(purposes=(purpose(SCHEDULE, action.workflow),))
        action.args = [Stamped(value=action.args[0], warrant=warrant), *action.args[1:]]


def _stamped(args: Sequence[Any], what_for: str, lasts_s: int, run: str | None = None) -> Sequence[Any]:
    """The arguments, the first of which carries the warrant. All of ours take one."""
    if not args or isinstance(args[0], Stamped):
        return args
    warrant = fresh_warrant([what_for], lasts_s=lasts_s, run=run or "")
    return [Stamped(value=args[0], warrant=warrant), *args[1:]]
