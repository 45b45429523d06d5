"""Engine calls inside activities: heartbeats beside blocking work, cancellation that waits for the thread."""

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from holdfast.activities.calls import EngineCall, engine_call
from holdfast.contracts.common import ShardHeartbeat
from holdfast.errors import StorageFullError, WrongPasswordError
from holdfast.runs.progress import StoppedError


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.fixture
def environment() -> ActivityEnvironment:
    """An activity's surroundings, with a short heartbeat timeout."""
    surroundings = ActivityEnvironment()
    surroundings.info = replace(surroundings.info, heartbeat_timeout=timedelta(seconds=0.08))
    return surroundings


async def test_heartbeats_go_on_while_a_thread_is_busy(
    environment: ActivityEnvironment, executor: ThreadPoolExecutor
) -> None:
    beats: list[object] = []
    enough = threading.Event()

    def count(*details: object) -> None:
        beats.append(details)
        if len(beats) >= 5:
            enough.set()

    environment.on_heartbeat = count

    async def body() -> str:
        async with engine_call(executor) as call:

            def work() -> str:
                call.report(ShardHeartbeat(shard=3, bytes_done=9))
                assert enough.wait(30)
                return "done"

            return await call.in_thread(work)

    assert await environment.run(body) == "done"
    assert beats[-1] == (ShardHeartbeat(shard=3, bytes_done=9),)


async def test_what_ends_at_once_sends_no_heartbeat(
    environment: ActivityEnvironment, executor: ThreadPoolExecutor
) -> None:
    environment.info = replace(environment.info, heartbeat_timeout=timedelta(seconds=60))
    beats: list[object] = []
    environment.on_heartbeat = lambda *details: beats.append(details)

    async def body() -> str:
        async with engine_call(executor) as call:
            return await call.in_thread(lambda: "done")

    assert await environment.run(body) == "done"
    assert beats == []


async def test_cancellation_ends_the_thread_first(
    environment: ActivityEnvironment, executor: ThreadPoolExecutor
) -> None:
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()
    ended: list[str] = []

    async def body() -> None:
        async with engine_call(executor) as call:

            def work() -> None:
                loop.call_soon_threadsafe(begun.set)
                try:
                    while True:
                        call.check()
                        time.sleep(0.005)
                finally:
                    time.sleep(0.1)
                    ended.append("thread")

            try:
                await call.in_thread(work)
            finally:
                ended.append("activity")

    running = asyncio.create_task(environment.run(body))
    await begun.wait()
    environment.cancel(cancellation_details=activity.ActivityCancellationDetails(cancel_requested=True))
    await asyncio.sleep(0.02)
    environment.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ended == ["thread", "activity"]


async def test_cancelling_a_coroutine_of_the_engine_stops_its_callbacks(
    environment: ActivityEnvironment, executor: ThreadPoolExecutor
) -> None:
    calls: list[EngineCall] = []
    begun = asyncio.Event()

    async def body() -> None:
        async with engine_call(executor) as call:
            calls.append(call)
            begun.set()
            await asyncio.Event().wait()

    running = asyncio.create_task(environment.run(body))
    await begun.wait()
    environment.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    with pytest.raises(StoppedError):
        calls[0].report(ShardHeartbeat(shard=0))


async def test_errors_are_translated_with_the_attempt(
    environment: ActivityEnvironment, executor: ThreadPoolExecutor
) -> None:
    environment.info = replace(environment.info, attempt=3)

    async def body(error: Exception, final: str = "") -> None:
        async with engine_call(executor, final=bool(final)) as call:

            def work() -> None:
                raise error

            await call.in_thread(work)

    with pytest.raises(ApplicationError) as full:
        await environment.run(body, StorageFullError("full"))
    assert full.value.next_retry_delay == timedelta(seconds=4)
    assert full.value.__cause__ is None
    with pytest.raises(ApplicationError) as final:
        await environment.run(body, StorageFullError("full"), "final")
    assert final.value.non_retryable
    with pytest.raises(ApplicationError) as wrong:
        await environment.run(body, WrongPasswordError("no key opens", hint="give another"))
    assert (wrong.value.type, wrong.value.message) == ("WrongPasswordError", "no key opens\ngive another")
