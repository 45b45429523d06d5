"""Steering a run on a real server: by update and by signal, while it works, while it is paused, when it is over."""

import asyncio
from typing import cast

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from holdfast.contracts import names
from holdfast.contracts.backup import BackupResult
from holdfast.contracts.common import PROGRESS_QUERY, Progress
from holdfast.contracts.control import (
    CANCEL,
    CONTROL_QUERY,
    PAUSE,
    RESUME,
    SET_PRIORITY,
    THROTTLE,
    Asked,
    ControlState,
    PriorityRequest,
    Throttle,
    ThrottleRequest,
    ThrottleWindow,
)
from holdfast.terms import RunStatus
from holdfast.workflows.attributes import STATUS
from tests.unit.workflows.running import replay, workers
from tests.unit.workflows.scripted import ScriptedBackup, heartbeat_until_cancelled
from tests.unit.workflows.test_backup_workflow import Handle, start

ANNA = Asked(by="anna", reason="the office needs the line")


class Held:
    """A shard that works until it is stopped the first time, and ends at once the second time."""

    def __init__(self, script: ScriptedBackup) -> None:
        self.began = asyncio.Event()
        self.stopped = 0
        script.before[names.STORE_SHARD] = self

    async def __call__(self, _shard: int) -> None:
        if self.stopped:
            return
        self.began.set()
        try:
            await heartbeat_until_cancelled()
        except asyncio.CancelledError:
            self.stopped += 1
            raise


async def ended(client: Client, handle: Handle) -> BackupResult:
    result = await handle.result()
    await replay(client, cast("WorkflowHandle[object, object]", handle))
    return result


async def control_of(handle: Handle) -> ControlState:
    state: ControlState = await handle.query(CONTROL_QUERY, result_type=ControlState)
    return state


@pytest.mark.parametrize("by_signal", [False, True])
async def test_a_pause_stops_the_work_until_it_is_resumed(client: Client, *, by_signal: bool) -> None:
    script = ScriptedBackup(shards_of_pages=(1,))
    held = Held(script)
    async with workers(client, script) as queue:
        handle = await start(client, queue)
        await held.began.wait()
        ask = handle.signal if by_signal else handle.execute_update
        await ask(PAUSE, ANNA)
        while not held.stopped:
            await asyncio.sleep(0.02)
        state = await control_of(handle)
        progress = await handle.query(PROGRESS_QUERY, result_type=Progress)
        shown = (await handle.describe()).typed_search_attributes[STATUS]
        await ask(RESUME, ANNA)
        result = await ended(client, handle)
    assert state.pause == ANNA
    assert state.paused_ns > 0
    assert progress.paused
    assert shown == "paused"
    assert (result.status, result.stored.files) == (RunStatus.COMPLETE, 10)
    assert script.count(names.STORE_SHARD) == 2


async def test_a_pause_outlives_the_workers(client: Client) -> None:
    script = ScriptedBackup(shards_of_pages=(1,))
    held = Held(script)
    async with workers(client, script) as queue:
        handle = await start(client, queue)
        await held.began.wait()
        await handle.execute_update(PAUSE, ANNA)
        while (await handle.describe()).raw_description.pending_activities:
            await asyncio.sleep(0.02)
    fresh = ScriptedBackup(shards_of_pages=(1,))
    async with workers(client, fresh, queue=queue):
        assert (await control_of(handle)).pause == ANNA
        assert fresh.calls == []
        await handle.execute_update(RESUME, ANNA)
        assert (await ended(client, handle)).status is RunStatus.COMPLETE


async def test_a_throttle_reaches_running_work_and_makes_it_one_at_a_time(client: Client) -> None:
    script = ScriptedBackup(shards_of_pages=(4,))
    held = Held(script)
    throttle = Throttle(
        bytes_per_second=1 << 20, windows=(ThrottleWindow(start="22:00", end="06:00", bytes_per_second=0),)
    )
    async with workers(client, script) as queue:
        handle = await start(client, queue)
        await held.began.wait()
        state = await handle.execute_update(
            THROTTLE, ThrottleRequest(throttle=throttle, asked=ANNA), result_type=ControlState
        )
        await ended(client, handle)
    assert state.throttle == throttle
    assert script.throttles[-1] == throttle


async def test_a_priority_is_for_what_comes(client: Client) -> None:
    script = ScriptedBackup(shards_of_pages=(1, 1))
    selecting, gate = asyncio.Event(), asyncio.Event()

    async def wait(_page: int) -> None:
        selecting.set()
        await gate.wait()

    script.before[names.SELECT_PAGE] = wait
    async with workers(client, script) as queue:
        handle = await start(client, queue)
        await selecting.wait()
        await handle.execute_update(SET_PRIORITY, PriorityRequest(priority=1, asked=ANNA))
        gate.set()
        await ended(client, handle)
        history = await handle.fetch_history()
    keys = [
        event.activity_task_scheduled_event_attributes.priority.priority_key
        for event in history.events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
    assert keys[0] == 0
    assert keys[-1] == 1


@pytest.mark.parametrize("by_signal", [False, True])
async def test_cancel_ends_the_run_with_a_result_and_keeps_the_workspace(
    client: Client, *, by_signal: bool
) -> None:
    script = ScriptedBackup(shards_of_pages=(1,))
    held = Held(script)
    async with workers(client, script) as queue:
        handle = await start(client, queue)
        await held.began.wait()
        await (handle.signal if by_signal else handle.execute_update)(CANCEL, ANNA)
        result = await ended(client, handle)
    assert result.status is RunStatus.CANCELLED
    assert script.logs[-1].ending.status is RunStatus.CANCELLED
    assert script.closes == []


@pytest.mark.parametrize(
    ("update", "argument", "words"),
    [
        (RESUME, ANNA, "not paused"),
        (THROTTLE, ThrottleRequest(throttle=Throttle(bytes_per_second=5)), "at least 1024"),
        (
            THROTTLE,
            ThrottleRequest(throttle=Throttle(windows=(ThrottleWindow(start="25:00", end="06:00"),))),
            "no time of day",
        ),
        (SET_PRIORITY, PriorityRequest(priority=9), "1 (first) to 5 (last)"),
    ],
)
async def test_what_makes_no_sense_is_refused_in_words(
    client: Client, update: str, argument: object, words: str
) -> None:
    script = ScriptedBackup(shards_of_pages=(1,))
    held = Held(script)
    async with workers(client, script) as queue:
        handle = await start(client, queue)
        await held.began.wait()
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update(update, argument)
        await handle.execute_update(CANCEL, ANNA)
        await handle.result()
    assert isinstance(refused.value.cause, ApplicationError)
    assert words in refused.value.cause.message


async def test_a_run_that_is_over_refuses(client: Client) -> None:
    script = ScriptedBackup(shards_of_pages=(1,))
    closing, go_on = asyncio.Event(), asyncio.Event()

    async def wait(_number: int) -> None:
        closing.set()
        await go_on.wait()

    held = Held(script)
    script.before[names.LOG_BACKUP] = wait
    async with workers(client, script) as queue:
        handle = await start(client, queue)
        await held.began.wait()
        await handle.execute_update(CANCEL, ANNA)
        await closing.wait()
        with pytest.raises(WorkflowUpdateFailedError):
            await handle.execute_update(PAUSE, ANNA)
        go_on.set()
        await handle.result()


async def test_a_cancellation_is_not_lost_while_a_pause_still_stops_the_work(client: Client) -> None:
    began, release = asyncio.Event(), asyncio.Event()

    async def slow_to_stop(_shard: int) -> None:
        began.set()
        try:
            await heartbeat_until_cancelled()
        except asyncio.CancelledError:
            await release.wait()
            raise

    script = ScriptedBackup(shards_of_pages=(1,))
    script.before[names.STORE_SHARD] = slow_to_stop
    async with workers(client, script) as queue:
        handle = await start(client, queue)
        await began.wait()
        for what in (PAUSE, RESUME, CANCEL):
            await handle.execute_update(what, ANNA)
        release.set()
        result = await ended(client, handle)
    assert result.status is RunStatus.CANCELLED


async def test_a_second_cancellation_leaves_the_end_of_the_first_alone(client: Client) -> None:
    ending = asyncio.Event()
    script = ScriptedBackup(shards_of_pages=(1,))
    held = Held(script)

    async def wait_for_the_second(_number: int) -> None:
        ending.set()
        for _ in range(20):
            activity.heartbeat()
            await asyncio.sleep(0.05)

    script.before[names.LOG_BACKUP] = wait_for_the_second
    async with workers(client, script) as queue:
        handle = await start(client, queue)
        await held.began.wait()
        await handle.execute_update(CANCEL, ANNA)
        await ending.wait()
        await handle.cancel()
        result = await ended(client, handle)
    assert result.status is RunStatus.CANCELLED
    assert script.logs[-1].ending.status is RunStatus.CANCELLED
    assert script.closes == []


@pytest.mark.parametrize("cached_workflows", [0, 100])
async def test_a_second_cancellation_does_not_end_the_run_before_its_work_has_stopped(
    client: Client, cached_workflows: int
) -> None:
    began, stopping, release = asyncio.Event(), asyncio.Event(), asyncio.Event()
    stopped: list[bool] = []

    async def slow_to_stop(_shard: int) -> None:
        began.set()
        try:
            await heartbeat_until_cancelled()
        except asyncio.CancelledError:
            stopping.set()
            await release.wait()
            stopped.append(True)
            raise

    async def look(_number: int) -> None:
        assert stopped == [True]

    script = ScriptedBackup(shards_of_pages=(1,))
    script.before[names.STORE_SHARD] = slow_to_stop
    script.before[names.LOG_BACKUP] = look
    async with workers(client, script, cached_workflows=cached_workflows) as queue:
        handle = await start(client, queue)
        await began.wait()
        await handle.cancel()
        await stopping.wait()
        await handle.execute_update(CANCEL, ANNA)
        await asyncio.sleep(0.3)
        release.set()
        result = await ended(client, handle)
    assert result.status is RunStatus.CANCELLED
    assert script.count(names.LOG_BACKUP) == 1
