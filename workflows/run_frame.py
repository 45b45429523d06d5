"""The frame around the steps of a run: where it stands, and how it ends.

A run whose steps are all taken has nothing left but to say so. One that ends early, because it failed or was
cancelled, is over from that moment: it leaves a record, and what lets it be resumed, and has its end told, as far as
that is possible, and then ends with the error that ended its steps. A cancellation that comes then changes nothing.

    FramedRun        the ends, for every kind of run (drills, guards)
      SteeredRun     with what can be asked of it (systems)
        ShardedRun   with pages, shards and new histories (sharded_run.py: backups, restores, verifications)
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from dataclasses import replace
from typing import ClassVar, Generic, TypeVar

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

from holdfast.contracts.common import Ending, Phase, Progress, RunPolicy, RunRef
from holdfast.contracts.control import ControlState
from holdfast.contracts.notify import NotifyInput
from holdfast.terms import RunKind, RunStatus
from holdfast.workflows.attributes import show_run
from holdfast.workflows.control import RunControl, SteeredWorkflow
from holdfast.workflows.details import pace_of, render, waits_of
from holdfast.workflows.failures import MAX_MESSAGE, Failure, failure_of
from holdfast.workflows.notices import tell_end
from holdfast.workflows.policies import ActivityCalls
from holdfast.workflows.window import settled

ResultT = TypeVar("ResultT")


class FramedRun(ABC, Generic[ResultT]):
    """A run and its ends. A workflow adds the steps, and what the frame has to know of them."""

    _kind: ClassVar[RunKind]

    def __init__(self, calls: ActivityCalls) -> None:
        self._calls = calls
        self._begun_ns = workflow.time_ns()
        self._phase = Phase.TRIGGER
        self._status = RunStatus.RUNNING

    @abstractmethod
    def _run_ref(self) -> RunRef:
        """Names the run for its activities."""

    @property
    def _started_ns(self) -> int:
        """When the run began, by the workflow's clock."""
        return self._begun_ns

    @property
    def _tells(self) -> bool:
        """Whether its end is to be told. A worker says so; where none was asked yet, the one that is to tell knows."""
        return False

    @abstractmethod
    async def _last_words(self, ending: Ending) -> None:
        """Record an early end; by activities that give up soon."""

    @abstractmethod
    def _show(self) -> None:
        """Show in the Web UI how the run stands."""

    def _result_of_stopped(self) -> ResultT | None:
        """The result of a run that was cancelled; None for one that ends as cancelled, without a result."""
        return None

    async def _framed(self, steps: Coroutine[object, object, ResultT]) -> ResultT:
        """Give what the steps answer, or end early.

        Raises:
            ApplicationError: the run failed; with the type and message of the error that no retry can help.
            FailureError, CancelledError: it was cancelled, and has no result.
        """
        try:
            return await steps
        except (FailureError, asyncio.CancelledError) as error:
            if not is_cancelled_exception(error):
                failure = failure_of(error)
                await self._end_early(RunStatus.FAILED, failure)
                raise failure.as_workflow_failure() from error
            await self._end_early(RunStatus.CANCELLED)
            result = self._result_of_stopped()
            if result is None:
                raise
            return result

    @property
    def _is_cancelled(self) -> bool:
        """Whether the server was asked to cancel the run."""
        return workflow.cancellation_reason() is not None

    def _end_if_cancelled(self) -> None:
        """Begin nothing more in a cancelled run: a step that ends well all the same hides that from its caller.

        Raises:
            CancelledError: it was cancelled.
        """
        if self._is_cancelled:
            raise asyncio.CancelledError

    async def _end_well(self, ending: Ending) -> None:
        """Say that the run is over. The last step: all else is done, and recorded."""
        self._over(ending.status)
        self._enter(Phase.DONE)
        show_run(status=ending.status)
        await self._tell(ending)

    async def _end_early(self, status: RunStatus, failure: Failure | None = None) -> None:
        self._over(status)
        show_run(status=status)
        ending = Ending(
            status=status,
            ended_ns=workflow.time_ns(),
            failure_kind="" if failure is None else failure.kind,
            failure_message=self._who_stopped if failure is None else failure.message[:MAX_MESSAGE],
        )
        last_words = asyncio.create_task(self._last_words(ending))
        await settled([last_words])
        try:
            last_words.result()
        except FailureError as error:
            workflow.logger.warning("the end of the run could not be recorded: %s", failure_of(error).kind)
        self._show()
        await self._tell(ending)

    def _over(self, status: RunStatus) -> None:
        self._status = status

    @property
    def _who_stopped(self) -> str:
        """Say who cancelled the run and why, for its record; empty where nobody has said."""
        return ""

    async def _tell(self, ending: Ending) -> None:
        if self._tells and ending.status is not RunStatus.CANCELLED:
            message = NotifyInput(
                run=self._run_ref(), kind=self._kind, started_ns=self._started_ns, ending=ending
            )
            await tell_end(self._calls, message)

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._show()


class SteeredRun(FramedRun[ResultT], SteeredWorkflow):
    """A run of which something can be asked."""

    def __init__(self, policy: RunPolicy, control: ControlState | None = None) -> None:
        self._control = RunControl(control or ControlState())
        super().__init__(ActivityCalls(policy=policy, control=self._control))

    @abstractmethod
    def progress(self) -> Progress:
        """The answer to the progress query."""

    @abstractmethod
    def _result(self, ending: Ending) -> ResultT:
        """The run's result, also of one that was cancelled through the update or signal."""

    def _notes(self) -> list[str]:
        """Lines that the Web UI shows below the counts."""
        return []

    @property
    def _elapsed_ns(self) -> int:
        """For how long the run has gone on."""
        return workflow.time_ns() - self._started_ns

    def _standing(self, counts: Progress, *, moved: int, to_move: int | None) -> Progress:
        """The counts with how the run stands and how fast it goes, by its bytes; to_move: None while not known."""
        state = self._control.state
        rate, left = pace_of(self._elapsed_ns - self._paused_for_ns, done=moved, total=to_move)
        what_for, kind = waits_of(state)
        return replace(
            counts,
            status=self._status,
            paused=state.pause is not None,
            waits_for=what_for,
            waits_kind=kind,
            throttle=state.throttle,
            started_ns=self._started_ns,
            bytes_per_second=rate,
            seconds_left=None if state.pause is not None else left,
        )

    @property
    def _paused_for_ns(self) -> int:
        """For how long the run was paused, or is, all in all."""
        state = self._control.state
        now_ns = workflow.time_ns() - state.paused_ns if state.paused_ns else 0
        return state.paused_for_ns + now_ns

    async def _framed(self, steps: Coroutine[object, object, ResultT]) -> ResultT:
        self._steerable()
        return await super()._framed(steps)

    @property
    def _who_stopped(self) -> str:
        cancel = self._control.state.cancel
        return "" if cancel is None or not cancel.by else f"cancelled by {cancel.by}: {cancel.reason}"

    def _result_of_stopped(self) -> ResultT | None:
        if self._control.state.cancel is None:
            return None
        return self._result(Ending(status=RunStatus.CANCELLED, ended_ns=workflow.time_ns()))

    @property
    def _is_cancelled(self) -> bool:
        """Also through the update or signal."""
        return self._control.state.cancel is not None or super()._is_cancelled

    def _over(self, status: RunStatus) -> None:
        super()._over(status)
        self._control.is_over = True

    def _on_control(self) -> None:
        show_run(status=self._status, paused=self._control.state.pause is not None)
        self._show()

    def _show(self) -> None:
        details = render(self.progress(), elapsed_ns=self._elapsed_ns, notes=self._notes())
        workflow.set_current_details(details)
