"""An activity is one step: a method of a verb's class, the queues that take it, and the engine call around it."""

import functools
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from enum import Flag, auto
from typing import Any, TypeAlias, TypeVar

from temporalio import activity

from holdfast.activities.calls import EngineCall, engine_call
from holdfast.activities.services import Services

ActivitiesT = TypeVar("ActivitiesT", bound="Activities")
MessageT = TypeVar("MessageT")
ResultT = TypeVar("ResultT")
Method: TypeAlias = Callable[[ActivitiesT, MessageT, EngineCall], ResultT]
Coro: TypeAlias = Coroutine[Any, Any, ResultT]
Step: TypeAlias = Callable[[ActivitiesT, MessageT], Coro[ResultT]]


class Queues(Flag):
    """Who takes a step: the run's own queue, or the copy queue beside it, for what moves bytes or computes as long."""

    LIGHT = auto()
    COPY = auto()


class Activities:
    """Activities over the services of this process; a verb's class has its steps."""

    def __init__(self, services: Services, executor: Executor) -> None:
        self._services = services
        self._executor = executor

    def light(self) -> list[Callable[..., object]]:
        """For the run's own queue."""
        return self._of(Queues.LIGHT)

    def copying(self) -> list[Callable[..., object]]:
        """For the copy queue beside it."""
        return self._of(Queues.COPY)

    def _of(self, queue: Queues) -> list[Callable[..., object]]:
        members = vars(type(self)).items()
        return [
            getattr(self, name) for name, member in members if queue in getattr(member, "queues", Queues(0))
        ]


def async_step(
    name: str, queues: Queues = Queues.LIGHT, *, final: bool = False
) -> Callable[[Method[ActivitiesT, MessageT, Coro[ResultT]]], Step[ActivitiesT, MessageT, ResultT]]:
    """Make a method of the event loop the activity of this name. final: see `engine_call`."""

    def made(method: Method[ActivitiesT, MessageT, Coro[ResultT]]) -> Step[ActivitiesT, MessageT, ResultT]:
        async def run(self: ActivitiesT, message: MessageT) -> ResultT:
            async with engine_call(self._executor, final=final) as call:
                return await method(self, message, call)

        # Temporal reads the message's type off these; `__wrapped__` would show it one argument more.
        run.__annotations__ = {kind: method.__annotations__[kind] for kind in ("message", "return")}
        run.__doc__ = method.__doc__
        run.queues = queues  # type: ignore[attr-defined]  # what `Activities` looks for
        return activity.defn(name=name)(run)

    return made


def step(
    name: str, queues: Queues = Queues.LIGHT, *, final: bool = False
) -> Callable[[Method[ActivitiesT, MessageT, ResultT]], Step[ActivitiesT, MessageT, ResultT]]:
    """Make a method that blocks the activity of this name, in a thread. final: see `engine_call`."""

    def made(method: Method[ActivitiesT, MessageT, ResultT]) -> Step[ActivitiesT, MessageT, ResultT]:
        @functools.wraps(method)
        async def run(self: ActivitiesT, message: MessageT, call: EngineCall) -> ResultT:
            return await call.in_thread(lambda: method(self, message, call))

        return async_step(name, queues, final=final)(run)

    return made
