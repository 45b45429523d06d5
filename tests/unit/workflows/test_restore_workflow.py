"""The restore workflow on a real server: order, dry run, failures, cancellation, new histories."""

import asyncio
import uuid
from dataclasses import replace
from typing import cast

import pytest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError

from holdfast.contracts import names
from holdfast.contracts.common import PROGRESS_QUERY, RESTORE_WORKFLOW, Phase, Progress
from holdfast.contracts.restore import Finished, RestoreOpened, RestoreRequest, RestoreResult
from holdfast.terms import RestoreTotals, RunStatus, VerifyLevel
from holdfast.workflows.attributes import SNAPSHOT, STATUS
from tests.unit.workflows.running import FAST, replay, workers
from tests.unit.workflows.scripted import heartbeat_until_cancelled
from tests.unit.workflows.scripted_restore import SNAPSHOT_ID, ScriptedRestore

REQUEST = RestoreRequest(repository="vault", selection="@feed", verify=VerifyLevel.WRITTEN, policy=FAST)
Handle = WorkflowHandle[object, RestoreResult]


async def start(client: Client, queue: str, request: RestoreRequest = REQUEST) -> Handle:
    handle = await client.start_workflow(
        RESTORE_WORKFLOW,
        request,
        id=f"restore-{uuid.uuid4()}",
        task_queue=queue,
        result_type=RestoreResult,
    )
    return cast("Handle", handle)


async def test_the_five_steps_run_in_order(client: Client) -> None:
    script = ScriptedRestore(shards_of_pages=(1, 2))
    async with workers(client, script) as queue:
        handle = await start(client, queue)
        result = await handle.result()
        description = await handle.describe()
        progress = await handle.query(PROGRESS_QUERY, result_type=Progress)
    assert script.calls == [
        names.TRIGGER_RESTORE,
        names.SELECT_RESTORE,
        names.SELECT_RESTORE,
        names.CHECK_SPACE,
        *[names.RESTORE_SHARD] * 3,
        names.FINISH_RESTORE,
        names.LOG_RESTORE,
        names.VERIFY_RESTORE,
        names.CLOSE_RESTORE,
    ]
    assert script.triggers[0].run.source == "@feed"
    assert script.space[0].bytes_to_write == 600
    assert script.restored == {0: 1, 1: 1, 2: 1}
    assert result.status is RunStatus.COMPLETE
    assert result.totals == RestoreTotals(
        files=9, files_skipped=3, bytes_to_write=600, bytes_written=600, files_written=6, files_deleted=7
    )
    assert result.verdict is not None
    assert result.verdict.files == 6
    assert description.typed_search_attributes[STATUS] == "complete"
    assert description.typed_search_attributes[SNAPSHOT] == SNAPSHOT_ID
    assert (progress.phase, progress.files_done, progress.files_total) == (Phase.DONE, 9, 9)
    await replay(client, cast("WorkflowHandle[object, object]", handle))


async def test_the_rate_is_of_the_time_that_the_run_has_taken(client: Client) -> None:
    script = ScriptedRestore()

    async def take_a_second(_shard: int) -> None:
        await asyncio.sleep(1.1)

    script.before[names.RESTORE_SHARD] = take_a_second
    async with workers(client, script) as queue:
        handle = await start(client, queue)
        await handle.result()
        progress = await handle.query(PROGRESS_QUERY, result_type=Progress)
    assert 0 < progress.bytes_per_second <= 600
    assert progress.seconds_left == 0


async def test_a_dry_run_plans_and_writes_nothing(client: Client) -> None:
    script = ScriptedRestore(opened=RestoreOpened(snapshot_id=SNAPSHOT_ID, dry_run=True))
    async with workers(client, script) as queue:
        result = await (await start(client, queue)).result()
    assert script.calls == [
        names.TRIGGER_RESTORE,
        names.SELECT_RESTORE,
        names.SELECT_RESTORE,
        names.FINISH_RESTORE,
        names.LOG_RESTORE,
        names.CLOSE_RESTORE,
    ]
    assert (result.totals.bytes_to_write, result.totals.files_deleted) == (600, 7)
    assert result.verdict is None


async def test_no_space_ends_the_run_before_anything_is_written(client: Client) -> None:
    script = ScriptedRestore()
    script.failures[names.CHECK_SPACE] = [
        ApplicationError("600 bytes are needed", type="TargetError", non_retryable=True)
    ]
    async with workers(client, script) as queue:
        with pytest.raises(WorkflowFailureError) as failed:
            await (await start(client, queue)).result()
    cause = failed.value.cause
    assert isinstance(cause, ApplicationError)
    assert (cause.type, cause.message) == ("TargetError", "600 bytes are needed")
    assert not script.restored
    assert (script.logs[0].ending.status, script.logs[0].ending.failure_kind) == (
        RunStatus.FAILED,
        "TargetError",
    )
    assert script.closes == []


async def test_where_there_is_room_for_all_shards_begin_before_the_plan_is_whole(client: Client) -> None:
    script = ScriptedRestore(
        shards_of_pages=(1, 2), opened=RestoreOpened(snapshot_id=SNAPSHOT_ID, has_room=True)
    )
    restored = asyncio.Event()

    async def after_the_first_shard(page: int) -> None:
        if page:
            await restored.wait()

    async def shard_begun(_shard: int) -> None:
        restored.set()

    script.before[names.SELECT_RESTORE] = after_the_first_shard
    script.before[names.RESTORE_SHARD] = shard_begun
    async with workers(client, script) as queue:
        handle = await start(client, queue)
        result = await handle.result()
    assert names.CHECK_SPACE not in script.calls
    assert script.restored == {0: 1, 1: 1, 2: 1}
    assert (result.status, result.totals.files_written) == (RunStatus.COMPLETE, 6)
    await replay(client, cast("WorkflowHandle[object, object]", handle))


async def test_a_long_run_that_has_room_goes_on_in_new_histories(client: Client) -> None:
    script = ScriptedRestore(
        shards_of_pages=(3, 4, 0, 5, 1), opened=RestoreOpened(snapshot_id=SNAPSHOT_ID, has_room=True)
    )
    policy = replace(FAST, steps_per_history=3)
    async with workers(client, script) as queue:
        handle = await start(client, queue, replace(REQUEST, policy=policy))
        result = await handle.result()
    run_ids = await replay(client, cast("WorkflowHandle[object, object]", handle))
    assert len(run_ids) >= 3
    assert script.restored == dict.fromkeys(range(13), 1)
    assert result.totals.files_written == 26
    assert not script.space


async def test_the_status_of_the_last_step_is_the_status_of_the_run(client: Client) -> None:
    partial = Finished(status=RunStatus.PARTIAL, totals=RestoreTotals(errors=2))
    script = ScriptedRestore(finished=partial)
    async with workers(client, script) as queue:
        result = await (await start(client, queue)).result()
    assert (result.status, result.totals.errors) == (RunStatus.PARTIAL, 2)
    assert script.closes[0].status is RunStatus.PARTIAL


async def test_cancelling_keeps_the_workspace(client: Client) -> None:
    running = asyncio.Event()
    script = ScriptedRestore()

    async def never_end(_shard: int) -> None:
        running.set()
        await heartbeat_until_cancelled()

    script.before[names.RESTORE_SHARD] = never_end
    async with workers(client, script) as queue:
        handle = await start(client, queue)
        await running.wait()
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        description = await handle.describe()
    assert description.status is WorkflowExecutionStatus.CANCELED
    assert description.typed_search_attributes[STATUS] == "cancelled"
    assert [log.ending.status for log in script.logs] == [RunStatus.CANCELLED]
    assert script.closes == []


async def test_a_long_run_goes_on_in_new_histories(client: Client) -> None:
    script = ScriptedRestore(shards_of_pages=(3, 4, 0, 5, 1))
    policy = replace(FAST, steps_per_history=3)
    async with workers(client, script) as queue:
        handle = await start(client, queue, replace(REQUEST, policy=policy, resume_run="restore/7"))
        result = await handle.result()
    run_ids = await replay(client, cast("WorkflowHandle[object, object]", handle))
    assert len(run_ids) >= 5
    assert script.logs[0].run.run_id == "restore/7"
    assert result.run_id == f"{handle.id}/{handle.first_execution_run_id}"
    assert script.restored == dict.fromkeys(range(13), 1)
    assert result.totals.files_written == 26
    assert (script.calls.count(names.TRIGGER_RESTORE), len(script.space)) == (1, 1)
