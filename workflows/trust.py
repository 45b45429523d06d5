"""A signed run gives warrants to what it asks for and says, and looks for one at what it is asked.

Signatures are the codec's business (transport/codec.py): what arrives here was made by a holder of the key, or is
refused already. Here is seen whether it may be used for this, now, and for the first time (contracts/warrant.py).

A run whose input bears a warrant is a *signed run*. It begins by being admitted: a local activity uses the warrant up.
Its activities get ids that begin with its run id, so that nothing that was said about a step can be said again about
another. What it starts, signals, answers and ends with is stamped in turn. A run whose input bears none, on a server
without signatures, goes the way it always went; where signatures are enforced it fails at once.

Everything here is decided by what stands in the history, and so the same when that is replayed.
"""

import itertools
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final, NoReturn

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    ContinueAsNewInput,
    ExecuteWorkflowInput,
    HandleQueryInput,
    HandleSignalInput,
    HandleUpdateInput,
    Interceptor,
    SignalChildWorkflowInput,
    StartActivityInput,
    StartChildWorkflowInput,
    StartLocalActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

from holdfast.contracts.guard import APPROVE_UPDATE
from holdfast.contracts.scheduled import ScheduledRun
from holdfast.contracts.warrant import (
    ADMIT,
    ADMITTED,
    ANSWER,
    CHILD,
    CONTINUED,
    MALFORMED,
    PATIENT_S,
    PROMPT_S,
    RESULT,
    SCHEDULE,
    SIGNAL,
    START,
    UNTRUSTED,
    UPDATE,
    AdmitInput,
    Stamped,
    Warrant,
    purpose,
    still_spent,
    warrant_of,
)

RUN_BOUND: Final = frozenset((APPROVE_UPDATE,))
"""Updates that name the run that they mean: what lets data be overwritten."""
_ADMISSION_S: Final = 30


class Trust(Interceptor):
    """For a worker's `interceptors`. enforced: a run without a warrant fails."""

    def __init__(self, *, enforced: bool) -> None:
        self._inbound = _Enforcing if enforced else _Inbound

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002, ARG002 - Temporal's name
    ) -> type[WorkflowInboundInterceptor]:
        return self._inbound


class _Standing:
    """The standing of one run. signed: its input bears a warrant. begun: it was admitted."""

    def __init__(self) -> None:
        self.signed = False
        self.begun = False
        self.spent: dict[str, int] = {}
        self._words = itertools.count(1)

    def next_word(self) -> str:
        """A word that this run has not used yet, nor any other."""
        return f"{workflow.info().run_id}/{next(self._words)}"

    def stamped(
        self, args: Sequence[Any], what_for: str, *, lasts_s: int = 0, run: str = "", once: bool = False
    ) -> Sequence[Any]:
        """Arguments of which the first bears a warrant."""
        if not self.signed or not args:
            return args
        warrant = Warrant(
            purposes=(what_for,),
            run=run,
            until_s=int(workflow.time()) + lasts_s if lasts_s else 0,
            once=self.next_word() if once else "",
        )
        return [Stamped(value=args[0], warrant=warrant), *args[1:]]


class _Inbound(WorkflowInboundInterceptor):
    _enforced = False

    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        self._standing = _Standing()
        super().init(_Outbound(outbound, self._standing))

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:  # noqa: A002
        warrant = warrant_of(input.args)
        if warrant is None:
            if self._enforced:
                _refuse("the run was asked for without a warrant")
            self._standing.begun = True
            return await super().execute_workflow(input)
        await self._begin(warrant, input.args[0])
        result = await super().execute_workflow(input)
        return Stamped(
            value=result,
            warrant=Warrant(purposes=(RESULT,), run=workflow.info().first_execution_run_id),
        )

    async def handle_signal(self, input: HandleSignalInput) -> None:  # noqa: A002
        what = purpose(SIGNAL, input.signal)
        try:
            if len(input.args) != 1:
                raise ApplicationError(f"it takes one argument, not {len(input.args)}", type=MALFORMED)
            await self._use_up(input.args, what, names_run=False)
        except ApplicationError as error:
            workflow.logger.warning("the %s was dropped: %s", what, error.message)
            return
        await super().handle_signal(input)

    def handle_update_validator(self, input: HandleUpdateInput) -> None:  # noqa: A002
        if len(input.args) != 1:
            raise ApplicationError(
                f"it takes one argument, not {len(input.args)}", type=MALFORMED, non_retryable=True
            )
        self._check(input.args, purpose(UPDATE, input.update), names_run=input.update in RUN_BOUND)
        super().handle_update_validator(input)

    async def handle_update_handler(self, input: HandleUpdateInput) -> Any:  # noqa: A002
        await self._use_up(input.args, purpose(UPDATE, input.update), names_run=input.update in RUN_BOUND)
        answer = await super().handle_update_handler(input)
        return self._answered(answer, input.id)

    async def handle_query(self, input: HandleQueryInput) -> Any:  # noqa: A002
        return self._answered(await super().handle_query(input), input.query)

    async def _begin(self, warrant: Warrant, asked: object) -> None:
        standing, info = self._standing, workflow.info()
        standing.signed = True
        what = info.workflow_type
        if info.continued_run_id is not None and purpose(CONTINUED, what) in warrant.purposes:
            if warrant.run != info.continued_run_id:
                _refuse("the run is said to go on from another one than it does")
            standing.spent = still_spent(warrant.spent, workflow.time())
        elif purpose(SCHEDULE, what) in warrant.purposes:
            starts = asked.workflow_id if isinstance(asked, ScheduledRun) else ""
            await self._admit(warrant, schedule=info.workflow_id, starts=starts)
        else:
            self._check_start(warrant)
            await self._admit(warrant)
        standing.begun = True

    def _check_start(self, warrant: Warrant) -> None:
        info = workflow.info()
        if purpose(CHILD, info.workflow_type) in warrant.purposes:
            if info.parent is None or info.parent.run_id != warrant.run:
                _refuse("the run is said to be another one's part than it is")
        elif purpose(START, info.workflow_type) not in warrant.purposes:
            _refuse(f"what it was asked with is not meant to start a run of the kind {info.workflow_type}")
        if not warrant.once:
            _refuse("what it was asked with does not say that it counts once")
        if info.workflow_start_time.timestamp() > warrant.until_s:
            _refuse(
                "what it was asked with counts no longer; if it was signed just now, the clocks of the host "
                "that signed it and of the server differ"
            )

    async def _admit(self, warrant: Warrant, schedule: str = "", starts: str = "") -> None:
        message = AdmitInput(
            once=warrant.once,
            until_s=warrant.until_s,
            run=workflow.info().run_id,
            schedule=schedule,
            starts=starts,
        )
        raw: RawValue | None = await workflow.execute_local_activity(
            ADMIT,
            message,
            result_type=RawValue,
            start_to_close_timeout=timedelta(seconds=_ADMISSION_S),
            retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), backoff_coefficient=1.0),
        )
        if raw is None or workflow.payload_converter().from_payload(raw.payload, str) != ADMITTED:
            _refuse("that it was admitted is not said by a worker of ours")

    async def _use_up(self, args: Sequence[Any], what_for: str, *, names_run: bool) -> None:
        """See that this may be asked, for the first time, once the run has begun."""
        warrant = warrant_of(args)
        if warrant is not None:
            await workflow.wait_condition(lambda: self._standing.begun)
        self._check(args, what_for, names_run=names_run)
        if warrant is not None and warrant.once:
            spent = still_spent(self._standing.spent.items(), workflow.time())
            self._standing.spent = {**spent, warrant.once: warrant.until_s}

    def _check(self, args: Sequence[Any], what_for: str, *, names_run: bool) -> None:
        warrant = warrant_of(args)
        if warrant is None:
            if self._enforced:
                _refuse("it was asked without a warrant")
            return
        info = workflow.info()
        if what_for not in warrant.purposes:
            _refuse(f"what it was asked with is not meant for the {what_for}")
        if not warrant.once or workflow.time() > warrant.until_s:
            _refuse("what it was asked with counts no longer")
        if warrant.once in self._standing.spent:
            _refuse("the same was asked before")
        if warrant.run not in {"", info.run_id, info.first_execution_run_id} or (
            names_run and not warrant.run
        ):
            _refuse("another run is meant, or none is named")

    def _answered(self, answer: Any, what: str) -> Any:
        if not self._standing.signed:
            return answer
        warrant = Warrant(purposes=(purpose(ANSWER, what),), run=workflow.info().first_execution_run_id)
        return Stamped(value=answer, warrant=warrant)


class _Enforcing(_Inbound):
    _enforced = True


class _Outbound(WorkflowOutboundInterceptor):
    def __init__(self, next: WorkflowOutboundInterceptor, standing: _Standing) -> None:  # noqa: A002
        super().__init__(next)
        self._standing = standing
        self._steps = itertools.count(1)
        self._children: dict[str, str] = {}

    def start_activity(self, input: StartActivityInput) -> workflow.ActivityHandle[Any]:  # noqa: A002
        if self._standing.signed and input.activity_id is None:
            input.activity_id = self._next_step()
        return super().start_activity(input)

    def start_local_activity(self, input: StartLocalActivityInput) -> workflow.ActivityHandle[Any]:  # noqa: A002
        if self._standing.signed and input.activity_id is None:
            input.activity_id = self._next_step()
        return super().start_local_activity(input)

    async def start_child_workflow(
        self,
        input: StartChildWorkflowInput,  # noqa: A002
    ) -> workflow.ChildWorkflowHandle[Any, Any]:
        run, what = workflow.info().run_id, purpose(CHILD, input.workflow)
        input.args = self._standing.stamped(input.args, what, lasts_s=PROMPT_S, run=run, once=True)
        child = await super().start_child_workflow(input)
        self._children[input.id] = child.first_execution_run_id or ""
        return child

    async def signal_child_workflow(self, input: SignalChildWorkflowInput) -> None:  # noqa: A002
        what, run = purpose(SIGNAL, input.signal), self._children.get(input.child_workflow_id, "")
        input.args = self._standing.stamped(input.args, what, lasts_s=PATIENT_S, run=run, once=True)
        await super().signal_child_workflow(input)

    def continue_as_new(self, input: ContinueAsNewInput) -> NoReturn:  # noqa: A002
        info = workflow.info()
        if self._standing.signed and input.args:
            warrant = Warrant(
                purposes=(purpose(CONTINUED, input.workflow or info.workflow_type),),
                run=info.run_id,
                spent=tuple(still_spent(self._standing.spent.items(), workflow.time()).items()),
            )
            input.args = [Stamped(value=input.args[0], warrant=warrant), *input.args[1:]]
        super().continue_as_new(input)

    def _next_step(self) -> str:
        return f"{workflow.info().run_id}/{next(self._steps)}"


def _refuse(why: str) -> NoReturn:
    raise ApplicationError(why, type=UNTRUSTED, non_retryable=True)
