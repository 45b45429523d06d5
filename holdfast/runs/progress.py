"""How a call tells how far it is, and how one that works in a thread is told to stop."""

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeAlias, TypeVar

Progress: TypeAlias = Callable[[int, int], None]
"""Called with what is done so far of a step: things (entries, files, trees, packs: what it goes through) and bytes.

From any thread, often; so it must be quick. What it raises ends the call that it was given to.
"""
ResultT = TypeVar("ResultT")


class StoppedError(Exception):
    """The work was told to stop, and did. It ends as a cancellation of who waits for it."""


class Stop:
    """Told to the work; it looks at it between steps that are short. From any thread."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def stop(self) -> None:
        """Make `check` and `wait` raise from now on."""
        self._event.set()

    def check(self) -> None:
        """End the work when it was told to stop."""
        if self._event.is_set():
            raise StoppedError

    def wait(self, seconds: float) -> None:
        """Let time pass; end the work when it was told to stop while it waited."""
        if self._event.wait(seconds):
            raise StoppedError


async def run_stoppable(
    work: Callable[[Stop], ResultT], stop: Stop | None = None, executor: Executor | None = None
) -> ResultT:
    """The result of `work`, which runs in a thread, of the executor if one is given, with the caller's context.

    A cancellation tells it to stop, waits until it has, and goes on as a cancellation. Further ones do not cut the wait
    short: what comes after it must not meet a thread that still works.
    """
    told, context = stop or Stop(), contextvars.copy_context()
    running = asyncio.get_running_loop().run_in_executor(executor, lambda: context.run(work, told))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        told.stop()
        while not running.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait((running,))
        if not running.cancelled():
            running.exception()
        raise
