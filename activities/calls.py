"""One engine call on behalf of an activity: heartbeats beside it, threads below it, errors translated at its edge.

The event loop heartbeats at a steady pace, whatever the engine does in its threads. Temporal answers a heartbeat when
the attempt is cancelled or was overtaken by another one; then `asyncio.CancelledError` is raised here, the engine's
thread is told to stop, and only when it has stopped the activity ends. A thread is stopped by the callbacks that
engine operations take: `check` raises in them.
"""

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from temporalio import activity

from activities.errors import application_error, is_expected
from contracts.common import ShardHeartbeat
from holdfast.runs.progress import Progress

ResultT = TypeVar("ResultT")
ItemT = TypeVar("ItemT")

_MAX_PAUSE_S: Final = 2.0
_BEATS_PER_TIMEOUT: Final = 4


class StoppedError(Exception):
    """Raised inside an engine call by its progress callback, to end it. Never leaves this module."""


class EngineCall:
    """Serves an activity while the engine works for it. `check` and `report` may be called from any thread."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._stop = threading.Event()
        self._details: ShardHeartbeat | None = None

    def stop(self) -> None:
        """Make `check` and `report` raise from now on."""
        self._stop.set()

    def check(self) -> None:
        """Raises StoppedError when the call is to end."""
        if self._stop.is_set():
            raise StoppedError

    def checked(self, items: Iterable[ItemT]) -> Iterator[ItemT]:
        """These items; raises StoppedError between them when the call is to end."""
        for item in items:
            self.check()
            yield item

    def report(self, details: ShardHeartbeat) -> None:
        """Show this progress with the next heartbeat; raises StoppedError when the call is to end."""
        self._details = details
        self.check()

    def progress_of(self, shard: int) -> Progress:
        """Reports the progress of a shard; 0 for a step that is none."""
        return lambda done, count: self.report(ShardHeartbeat(shard=shard, files_done=done, bytes_done=count))

    async def in_thread(self, function: Callable[[], ResultT]) -> ResultT:
        """Run blocking work. When cancelled, tell it to stop, wait until it has, and be cancelled."""
        context = contextvars.copy_context()  # the thread logs on behalf of the same run
        future = asyncio.get_running_loop().run_in_executor(self._executor, lambda: context.run(function))
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            self.stop()
            await _ended(future)
            raise

    async def beat(self) -> None:
        """Heartbeat until cancelled. What ends before the first one is due costs the server none."""
        timeout = activity.info().heartbeat_timeout
        pause_s = _MAX_PAUSE_S
        if timeout is not None:
            pause_s = min(pause_s, timeout.total_seconds() / _BEATS_PER_TIMEOUT)
        while True:
            await asyncio.sleep(pause_s)
            if self._details is None:
                activity.heartbeat()
            else:
                activity.heartbeat(self._details)


@asynccontextmanager
async def engine_call(executor: Executor, *, final: bool = False) -> AsyncIterator[EngineCall]:
    """Around the body of an activity. final: no error in it is worth another attempt.

    Raises:
        ApplicationError: the body raised an error.
        asyncio.CancelledError: the attempt is to end; everything that it started has ended.
    """
    call = EngineCall(executor)
    beating = asyncio.create_task(call.beat())
    try:
        yield call
    except asyncio.CancelledError:
        call.stop()
        raise
    except Exception as error:  # noqa: BLE001 - nothing may leave an activity untranslated
        if is_expected(error):
            activity.logger.warning("an activity ended with an error: %s", error)
        else:
            activity.logger.exception("an activity failed in a way that it should not")
        raise application_error(error, attempt=activity.info().attempt, final=final) from None
    finally:
        beating.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beating


async def _ended(future: "asyncio.Future[ResultT]") -> None:
    """Wait for the thread, also when cancelled again; what it answers is no longer wanted."""
    while not future.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([future])
    if not future.cancelled():
        future.exception()
