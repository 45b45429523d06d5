"""How a call tells how far it is, and how one that works in a thread is told to stop."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeAlias, TypeVar

Progress: TypeAlias = Callable[[int, int], None]
"""Called with what is done so far of a step: things (entries, files, trees, packs: what it goes through) and bytes.

From any thread, often; so it must be quick. What it raises ends the call that it was given to.
"""
ResultT = TypeVar("ResultT")


class _Stopped(Exception):
    """The work was told to stop, and did."""


class Stop:
    """Told to the work; it looks at it between steps that are short."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        self._event.set()

    def check(self) -> None:
        """End the work when it was told to stop."""
        if self._event.is_set():
            raise _Stopped

    def wait(self, seconds: float) -> None:
        """Let time pass; end the work when it was told to stop while it waited."""
        if self._event.wait(seconds):
            raise _Stopped


async def run_stoppable(work: Callable[[Stop], ResultT]) -> ResultT:
    """The result of `work`. A cancellation tells it to stop, waits until it has, and goes on as a cancellation.

    Further ones do not cut the wait short: what comes after it must not meet a thread that still works.
    """
    stop = Stop()
    running = asyncio.ensure_future(asyncio.to_thread(work, stop))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stop.set()
        while not running.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait((running,))
        if not running.cancelled():
            running.exception()
        raise
