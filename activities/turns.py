"""Activities of a process take turns at moving bytes: one at a time, and the next while one waits for the disk.

An activity that has read and computed all it has to, and only waits until that is durable, hands its turn on: the
copying worker then takes another one, whose computing fills the wait. The worker asks for a slot before it asks the
server for work, so what it takes begins at once, and what it cannot begin stays for other workers to take.

    slot reserved, has the turn ─▶ computes ─▶ hands the turn on ─▶ waits for the disk ─▶ slot released
                                                     └▶ the next slot can be reserved

At most AT_ONCE activities are under way, so that a slow disk does not gather buffers without end.
"""

import asyncio
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final

from temporalio.worker import (
    ActivityInboundInterceptor,
    CustomSlotSupplier,
    ExecuteActivityInput,
    Interceptor,
    SlotMarkUsedContext,
    SlotPermit,
)
from temporalio.worker import SlotReleaseContext as Release
from temporalio.worker import SlotReserveContext as Reserve

AT_ONCE: Final = 2


class Turn(SlotPermit):
    """A slot, and the turn that came with it."""

    def __init__(self, turns: "Turns") -> None:
        super().__init__()
        self._turns = turns

    def hand_on(self) -> None:
        """Say that what is left to do is to wait. May be called from any thread, and again."""
        self._turns.pass_from(self)


class Turns(CustomSlotSupplier):
    """The slots of one copying worker, and the turn among them.

    The SDK's core asks for slots on the event loop and releases them from threads of its own.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: set[Turn] = set()
        self._current: Turn | None = None
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    @property
    def current(self) -> Turn | None:
        """The turn of the activity that has it. An activity that begins has it, until it hands it on."""
        return self._current

    async def reserve_slot(self, ctx: Reserve) -> SlotPermit:
        """A slot with the turn, as soon as there is one."""
        while True:
            turn = self.try_reserve_slot(ctx)
            if turn is not None:
                return turn
            changed = asyncio.Event()
            waiting = (asyncio.get_running_loop(), changed)
            with self._lock:
                if self._is_free():
                    continue
                self._waiting.append(waiting)
            try:
                await changed.wait()
            finally:
                with self._lock:
                    if waiting in self._waiting:
                        self._waiting.remove(waiting)

    def try_reserve_slot(self, ctx: Reserve) -> SlotPermit | None:
        """A slot with the turn, if that is free now."""
        del ctx
        with self._lock:
            if not self._is_free():
                return None
            self._current = Turn(self)
            self._taken.add(self._current)
            return self._current

    def mark_slot_used(self, ctx: SlotMarkUsedContext) -> None:
        """It is in use from the time on when it is reserved."""

    def release_slot(self, ctx: Release) -> None:
        """The activity has ended, or there was none after all."""
        if isinstance(ctx.permit, Turn):
            with self._lock:
                self._taken.discard(ctx.permit)
                self._pass(ctx.permit)

    def pass_from(self, turn: Turn) -> None:
        """Let the next activity begin, if the turn is still with this one."""
        with self._lock:
            self._pass(turn)

    def _is_free(self) -> bool:
        return self._current is None and len(self._taken) < AT_ONCE

    def _pass(self, turn: Turn) -> None:
        if self._current is turn:
            self._current = None
        if self._is_free():
            waiting, self._waiting = self._waiting, []
            for loop, changed in waiting:
                loop.call_soon_threadsafe(changed.set)


_OWN: ContextVar[Turn | None] = ContextVar("_OWN", default=None)


def own_turn() -> Callable[[], None]:
    """For an activity: what to call, from any thread, when all that is left is to wait for the disk."""
    turn = _OWN.get()
    return _nothing if turn is None else turn.hand_on


def _nothing() -> None:
    """Do nothing: there are no turns."""


class TurnContext(Interceptor):
    """For a copying worker's `interceptors`: tells each activity which turn is its own."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    def intercept_activity(
        self,
        next: ActivityInboundInterceptor,  # noqa: A002 - Temporal's name
    ) -> ActivityInboundInterceptor:
        return _Inbound(super().intercept_activity(next), self._turns)


class _Inbound(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, turns: Turns) -> None:  # noqa: A002 - Temporal's name
        super().__init__(next)
        self._turns = turns

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - Temporal's name
        token = _OWN.set(self._turns.current)
        try:
            return await super().execute_activity(input)
        finally:
            _OWN.reset(token)
