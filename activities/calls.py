"""An engine call serves an activity: heartbeats beside it, threads below it, errors translated at its edge.

The event loop heartbeats at a steady pace, whatever the engine does in its threads. Temporal answers a heartbeat when
the attempt is cancelled or was overtaken by another one; then `asyncio.CancelledError` is raised here, the engine's
thread is told to stop, and only when it has stopped the activity ends. A thread is stopped by the callbacks that
engine operations take: `check` raises in them.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from temporalio import activity

from holdfast.activities.errors import application_error, is_expected
from holdfast.contracts.common import ShardHeartbeat
from holdfast.runs.progress import Progress, Stop, run_stoppable

ResultT = TypeVar("ResultT")
ItemT = TypeVar("ItemT")

_MAX_PAUSE_S: Final = 2.0
_BEATS_PER_TIMEOUT: Final = 4


class EngineCall(Stop):
    """Serves an activity while the engine works for it. `check` and `report` may be called from any thread."""

    def __init__(self, executor: Executor) -> None:
        super().__init__()
        self._executor = executor
        self._details: ShardHeartbeat | None = None

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
        return await run_stoppable(lambda _: function(), self, self._executor)

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
