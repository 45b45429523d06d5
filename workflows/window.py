"""The sliding window: many pieces of work, a few at a time, in an order that replays; and waiting for what must end.

A run can be cancelled a second time while it ends: by the update after the server, or the other way round. What was
begun because of the first cancellation is not disturbed by the second.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from temporalio import workflow

Work = Coroutine[object, object, None]


async def run_window(next_work: Callable[[], Work | None]) -> None:
    """Run what `next_work` hands out until it has nothing more to give and all of it is done.

    `next_work` is asked whenever something has finished; it answers None while enough is running. The first
    failure (or the cancellation of the caller) cancels the rest, waits until all of it has stopped, and is
    raised.
    """
    running: list[asyncio.Task[None]] = []
    try:
        while True:
            while (work := next_work()) is not None:
                running.append(asyncio.create_task(work))
            if not running:
                return
            done, running = await workflow.wait(running, return_when=asyncio.FIRST_COMPLETED)
            _raise_first_failure(done)
    except GeneratorExit:
        raise  # a worker forgets the run: there is nothing left to wait with
    except BaseException:
        await _stop(running)
        raise


def _raise_first_failure(done: list[asyncio.Task[None]]) -> None:
    failures = [
        _failure(task) for task in done
    ]  # all are looked at, or asyncio reports the others as never retrieved
    for failure in failures:
        if failure is not None:
            raise failure


async def _stop(running: list[asyncio.Task[None]]) -> None:
    for task in running:
        task.cancel()
    await settled(running)
    for task in running:
        _failure(task)


def _failure(task: asyncio.Task[None]) -> BaseException | None:
    return asyncio.CancelledError() if task.cancelled() else task.exception()


async def settled(tasks: "Sequence[asyncio.Task[Any]]") -> None:
    """Wait until all have ended, whatever cancels the caller until then; how they ended is the caller's to see."""
    while not all(task.done() for task in tasks):
        try:
            await workflow.wait(tasks)
        except asyncio.CancelledError:
            continue
