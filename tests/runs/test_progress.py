"""Work in a thread is told to stop, and waited for."""

import asyncio
import threading

import pytest

from holdfast.runs.progress import Stop, run_stoppable

LIMIT_S = 20.0


async def test_what_is_cancelled_twice_still_waits_for_its_thread() -> None:
    """A server asks for it, and heartbeats fail at the same time."""
    begun, may_end = threading.Event(), threading.Event()
    ended: list[str] = []

    def work(stop: Stop) -> None:
        begun.set()
        try:
            stop.wait(LIMIT_S)
        finally:
            may_end.wait(LIMIT_S)
            ended.append("the thread")

    running = asyncio.create_task(run_stoppable(work))
    await asyncio.to_thread(begun.wait, LIMIT_S)
    for _ in range(3):
        running.cancel()
        done, _ = await asyncio.wait({running}, timeout=0.05)
        assert not done
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ended == ["the thread"]


async def test_what_it_raises_and_returns_comes_through() -> None:
    def fail(_: Stop) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await run_stoppable(fail)
    assert await run_stoppable(lambda _: 7) == 7
