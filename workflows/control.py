"""A run is steered from outside: pause, resume, throttle, cancel, priority; and it stands aside for others of ours.

A pause ends the activities that are running: they are cancelled, write their last checkpoint, and are started again
from there when the run is resumed. Until then nothing runs or waits outside of the workflow's own state, so
a pause outlives every restart, for days. A new throttle reaches running activities in the same way.

A run that stands aside does the same for seconds, so that none of its locks is there (docs/adr/0053). It goes on when
it is told, or by itself when the time is over that was asked for.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, RetryState, is_cancelled_exception

from holdfast.contracts.control import (
    CANCEL,
    CONTROL_QUERY,
    HIGHEST_PRIORITY,
    LONGEST_STAND_S,
    LOWEST_PRIORITY,
    PAUSE,
    REFUSED,
    RESUME,
    SET_PRIORITY,
    STAND_ASIDE,
    THROTTLE,
    Asked,
    ControlState,
    PriorityRequest,
    StandAside,
    ThrottleRequest,
    check_throttle,
)
from holdfast.units import NS_PER_S
from holdfast.workflows.window import settled

ResultT = TypeVar("ResultT")


class RunControl:
    """Holds what was asked of one run, and brings it to its activities."""

    def __init__(self, state: ControlState) -> None:
        self.state = state
        self.is_over = False
        self._version = 0

    def change(self, state: ControlState, *, interrupts: bool) -> None:
        """Take over a new state; with `interrupts`, activities that run now are stopped and started again."""
        self.state = state
        self._version += interrupts

    @property
    def window(self) -> int | None:
        """Activities that may move bytes at once where there is a throttle, whose rate is for all of them."""
        return 1 if self.state.throttle.limits else None

    async def steered(self, start: "Callable[[], workflow.ActivityHandle[ResultT]]") -> ResultT:
        """The result of an activity that `start` starts, again after each pause or other interruption."""
        while True:
            await workflow.wait_condition(lambda: self.state.is_free)
            version = self._version
            handle = start()
            await self._until_done_or_interrupted(handle, version)
            try:
                return await handle
            except (ActivityError, asyncio.CancelledError) as error:
                if not _was_stopped(error) or self._version == version or is_task_cancelled():
                    raise

    async def _until_done_or_interrupted(
        self, handle: "workflow.ActivityHandle[ResultT]", version: int
    ) -> None:
        try:
            await workflow.wait_condition(lambda: handle.done() or self._version != version)
        except asyncio.CancelledError:
            await _stop(handle)
            raise
        if not handle.done():
            handle.cancel()


def _was_stopped(error: BaseException) -> bool:
    """Whether an activity ended because it was told to: also where it met an error of its own just then, which the
    server would have tried again otherwise (the lock that a run stands aside for, say)."""
    if isinstance(error, ActivityError) and isinstance(error.cause, ApplicationError):
        return error.retry_state is RetryState.CANCEL_REQUESTED and not error.cause.non_retryable
    return is_cancelled_exception(error)


def is_task_cancelled() -> bool:
    """Whether what runs here is to end: an activity that ends as cancelled may have been stopped for a pause only."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _stop(handle: "workflow.ActivityHandle[ResultT]") -> None:
    """Cancel an activity and wait until it has really stopped."""
    handle.cancel()
    await settled([handle])
    if not handle.cancelled():
        handle.exception()  # or asyncio reports it as never retrieved


class SteeredWorkflow:
    """The handlers that every run has. A workflow sets `_control` in its `@workflow.init`."""

    _control: RunControl
    _main: "asyncio.Task[object] | None" = None
    _stand_ends: "asyncio.Task[None] | None" = None

    def _steerable(self) -> None:
        """Remember the task that `cancel` ends. Call it first in the run method.

        Handlers may run before it, in the workflow's first task, so a cancellation may have come already.
        """
        self._main = asyncio.current_task()
        self._watch_stand()
        if self._main is not None and self._control.state.cancel is not None:
            self._main.cancel()

    def _on_control(self) -> None:
        """Called when something was asked; shows it."""

    @workflow.query(name=CONTROL_QUERY)
    def control(self) -> ControlState:
        """Answer what was asked of the run so far."""
        return self._control.state

    @workflow.update(name=PAUSE)
    def update_pause(self, asked: Asked) -> ControlState:
        """Stop reading and writing until `resume`."""
        return self._pause(asked)

    @update_pause.validator
    def _check_pause(self, asked: Asked) -> None:  # noqa: ARG002 -- takes what its update takes
        self._refuse_when_over()
        if self._control.state.pause is not None:
            raise _refused("the run is paused already")

    @workflow.update(name=RESUME)
    def update_resume(self, asked: Asked) -> ControlState:
        """Go on after a pause."""
        return self._resume(asked)

    @update_resume.validator
    def _check_resume(self, asked: Asked) -> None:  # noqa: ARG002 -- takes what its update takes
        self._refuse_when_over()
        if self._control.state.pause is None:
            raise _refused("the run is not paused")

    @workflow.update(name=THROTTLE)
    def update_throttle(self, request: ThrottleRequest) -> ControlState:
        """Limit how fast the run reads from now on."""
        return self._throttle(request)

    @update_throttle.validator
    def _check_throttle(self, request: ThrottleRequest) -> None:
        self._refuse_when_over()
        try:
            check_throttle(request.throttle)
        except ValueError as error:
            raise _refused(str(error)) from None

    @workflow.update(name=CANCEL)
    def update_cancel(self, asked: Asked) -> ControlState:
        """End the run; it can be resumed later."""
        return self._cancel(asked)

    @update_cancel.validator
    def _check_cancel(self, asked: Asked) -> None:  # noqa: ARG002 -- takes what its update takes
        self._refuse_when_over()

    @workflow.update(name=SET_PRIORITY)
    def update_priority(self, request: PriorityRequest) -> ControlState:
        """Change the priority of the activities that are started from now on."""
        return self._set_priority(request)

    @update_priority.validator
    def _check_priority(self, request: PriorityRequest) -> None:
        self._refuse_when_over()
        if not HIGHEST_PRIORITY <= request.priority <= LOWEST_PRIORITY:
            raise _refused(f"a priority is {HIGHEST_PRIORITY} (first) to {LOWEST_PRIORITY} (last)")

    @workflow.signal(name=PAUSE)
    def signal_pause(self, asked: Asked) -> None:
        """As the update; a pause that makes no sense changes nothing."""
        if not self._control.is_over and self._control.state.pause is None:
            self._pause(asked)

    @workflow.signal(name=RESUME)
    def signal_resume(self, asked: Asked) -> None:
        """As the update."""
        if not self._control.is_over and self._control.state.pause is not None:
            self._resume(asked)

    @workflow.signal(name=THROTTLE)
    def signal_throttle(self, request: ThrottleRequest) -> None:
        """As the update; one that makes no sense changes nothing."""
        try:
            check_throttle(request.throttle)
        except ValueError as error:
            workflow.logger.warning("a throttle was refused: %s", error)
            return
        self._throttle(request)

    @workflow.signal(name=CANCEL)
    def signal_cancel(self, asked: Asked) -> None:
        """As the update."""
        if not self._control.is_over:
            self._cancel(asked)

    @workflow.signal(name=SET_PRIORITY)
    def signal_priority(self, request: PriorityRequest) -> None:
        """As the update."""
        if HIGHEST_PRIORITY <= request.priority <= LOWEST_PRIORITY:
            self._set_priority(request)

    @workflow.signal(name=STAND_ASIDE)
    def signal_stand_aside(self, stand: StandAside) -> None:
        """Stand at a checkpoint for a while, or go on from there.

        One that comes late, after its time, asks for nothing.
        """
        standing = self._control.state.stand
        is_new = standing is None or standing.by != stand.by
        if self._control.is_over or (is_new and stand.until_ns <= workflow.time_ns()):
            return
        if standing is not None and is_new and stand.until_ns <= standing.until_ns:
            return  # it stands already, and for longer
        latest_ns = workflow.time_ns() + LONGEST_STAND_S * NS_PER_S
        asked = replace(stand, until_ns=min(stand.until_ns, latest_ns))
        self._take(replace(self._control.state, stand=asked), interrupts=standing is None)
        self._watch_stand()

    def _watch_stand(self) -> None:
        """See to the end of a stand: of one that was just asked, or that came along from an earlier history."""
        if self._control.state.stand is not None and (self._stand_ends is None or self._stand_ends.done()):
            self._stand_ends = asyncio.create_task(self._until_stand_ends())

    async def _until_stand_ends(self) -> None:
        while (stand := self._control.state.stand) is not None:
            left_s = (stand.until_ns - workflow.time_ns()) / NS_PER_S
            if left_s <= 0:
                self._take(replace(self._control.state, stand=None), interrupts=False)
                return
            await self._until_asked_otherwise(stand, left_s)

    async def _until_asked_otherwise(self, stand: StandAside, at_most_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._control.state.stand is not stand, timeout=timedelta(seconds=at_most_s)
            )

    def _pause(self, asked: Asked) -> ControlState:
        return self._take(
            replace(self._control.state, pause=asked, paused_ns=workflow.time_ns()), interrupts=True
        )

    def _resume(self, _asked: Asked) -> ControlState:
        state = self._control.state
        stood_ns = workflow.time_ns() - state.paused_ns if state.paused_ns else 0
        resumed = replace(state, pause=None, paused_ns=0, paused_for_ns=state.paused_for_ns + stood_ns)
        return self._take(resumed, interrupts=False)

    def _throttle(self, request: ThrottleRequest) -> ControlState:
        return self._take(replace(self._control.state, throttle=request.throttle), interrupts=True)

    def _set_priority(self, request: PriorityRequest) -> ControlState:
        return self._take(replace(self._control.state, priority=request.priority), interrupts=False)

    def _cancel(self, asked: Asked) -> ControlState:
        state = self._take(replace(self._control.state, cancel=asked, pause=None), interrupts=False)
        if self._main is not None:
            self._main.cancel()
        return state

    def _take(self, state: ControlState, *, interrupts: bool) -> ControlState:
        self._control.change(state, interrupts=interrupts)
        self._on_control()
        return state

    def _refuse_when_over(self) -> None:
        if self._control.is_over or self._control.state.cancel is not None:
            raise _refused("the run is ending; nothing can be asked of it")


def _refused(message: str) -> ApplicationError:
    return ApplicationError(message, type=REFUSED, non_retryable=True)
