"""The backup workflow on a real server: order, window, retries, redone work, new histories."""

import asyncio
import uuid
from dataclasses import replace
from typing import cast

import pytest
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError

from holdfast.contracts import names
from holdfast.contracts.backup import BackupRequest, BackupResult, Committed
from holdfast.contracts.common import (
    BACKUP_WORKFLOW,
    ERRORS_QUERY,
    PLAN_QUERY,
    PROGRESS_QUERY,
    Errors,
    Phase,
    Plan,
    Progress,
)
from holdfast.terms import RunStatus, SnapshotTotals, Strategy, VerifyLevel
from holdfast.workflows.attributes import SNAPSHOT, SOURCE, STATUS, STRATEGY
from tests.unit.workflows.running import FAST, replay, workers
from tests.unit.workflows.scripted import (
    PARENT_ID,
    SNAPSHOT_ID,
    Hook,
    ScriptedBackup,
    heartbeat_until_cancelled,
)

REQUEST = BackupRequest(repository="vault", source="home", policy=FAST)
Handle = WorkflowHandle[object, BackupResult]


async def start(client: Client, queue: str, request: BackupRequest = REQUEST) -> Handle:
    handle = await client.start_workflow(
        BACKUP_WORKFLOW,
        request,
        id=f"backup-{uuid.uuid4()}",
        task_queue=queue,
        result_type=BackupResult,
    )
    return cast("Handle", handle)


async def run(client: Client, script: ScriptedBackup, request: BackupRequest = REQUEST) -> BackupResult:
    async with workers(client, script) as queue:
        handle = await start(client, queue, request)
        result = await handle.result()
        await replay(client, cast("WorkflowHandle[object, object]", handle))
        return result


async def test_the_five_steps_run_in_order(client: Client) -> None:
    script = ScriptedBackup(shards_of_pages=(2, 3))
    async with workers(client, script) as queue:
        handle = await start(client, queue)
        result = await handle.result()
        description = await handle.describe()

    called = [name for name, _ in script.calls]
    assert called[0] == names.TRIGGER_BACKUP
    assert set(called[-5:-3]) == {names.COMMIT_SNAPSHOT, names.LIST_FILES}
    assert called[-3:] == [names.LOG_BACKUP, names.VERIFY_BACKUP, names.CLOSE_RUN]
    assert sorted(script.stored) == [(0, shard) for shard in range(5)]
    assert set(script.stored.values()) == {1}
    assert result == BackupResult(
        run_id=f"{handle.id}/{handle.first_execution_run_id}",
        status=RunStatus.COMPLETE,
        snapshot_id=SNAPSHOT_ID,
        parent=PARENT_ID,
        strategy=Strategy.INCREMENTAL,
        reason="a parent exists",
        started_ns=script.triggers[0].started_ns,
        ended_ns=result.ended_ns,
        selected=result.selected,
        stored=result.stored,
        totals=SnapshotTotals(files=50, bytes_total=5000),
        verdict=result.verdict,
    )
    assert result.selected.files_new == result.stored.files == 50
    assert result.verdict is not None
    assert result.verdict.ok
    assert result.ended_ns > result.started_ns > 0
    attributes = description.typed_search_attributes
    assert [attributes[key] for key in (SOURCE, STRATEGY, STATUS, SNAPSHOT)] == [
        "home",
        "incremental",
        "complete",
        SNAPSHOT_ID,
    ]
    (close,) = script.closes
    assert close.status is RunStatus.COMPLETE
    assert script.logs[0].committed == Committed(
        snapshot_id=SNAPSHOT_ID, totals=SnapshotTotals(files=50, bytes_total=5000)
    )
    await replay(client, cast("WorkflowHandle[object, object]", handle))


async def test_steps_are_summed_up_for_the_web_ui(client: Client) -> None:
    script = ScriptedBackup(shards_of_pages=(1,))
    async with workers(client, script) as queue:
        handle = await start(client, queue)
        await handle.result()
        history = await handle.fetch_history()
        metadata = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    summaries = [
        event.user_metadata.summary.data.decode()
        for event in history.events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
    assert summaries == [
        '"open the run"',
        '"select page 0"',
        '"shard 0"',
        '"write the snapshot"',
        '"list the files"',
        '"write the record"',
        '"verify: structure"',
        '"remove the workspace"',
    ]
    details = metadata.current_details
    assert details.startswith("**Done: complete**")
    assert "- Files: 10 of 10" in details
    assert "Strategy: incremental (a parent exists)" in details


async def test_the_window_is_filled_and_never_exceeded(client: Client) -> None:
    full = asyncio.Event()
    script = ScriptedBackup(shards_of_pages=(4, 5))

    async def until_three_at_once(_shard: int) -> None:
        if script.storing == FAST.window:
            full.set()
        await full.wait()

    script.before[names.STORE_SHARD] = until_three_at_once
    await run(client, script)
    assert script.most_storing == FAST.window
    assert sum(script.stored.values()) == 9


async def test_storing_begins_while_selection_goes_on(client: Client) -> None:
    first_stored = asyncio.Event()
    script = ScriptedBackup(shards_of_pages=(1, 1))

    async def only_after_a_shard(page: int) -> None:
        if page == 1:
            await first_stored.wait()

    async def tell(_shard: int) -> None:
        first_stored.set()

    script.before[names.SELECT_PAGE] = only_after_a_shard
    script.before[names.STORE_SHARD] = tell
    result = await run(client, script)
    assert result.stored.files == 20


async def test_progress_is_answered_while_it_runs(client: Client) -> None:
    selected = asyncio.Event()
    go_on = asyncio.Event()
    script = ScriptedBackup(shards_of_pages=(2, 0))

    async def stop_at_the_second(shard: int) -> None:
        if shard == 1:
            selected.set()
            await go_on.wait()

    script.before[names.STORE_SHARD] = stop_at_the_second
    async with workers(client, script) as queue:
        handle = await start(client, queue)
        await selected.wait()
        progress = await handle.query(PROGRESS_QUERY, result_type=Progress)
        while progress.shards_done == 0 or not progress.selection_complete:
            await asyncio.sleep(0.02)
            progress = await handle.query(PROGRESS_QUERY, result_type=Progress)
        plan = await handle.query(PLAN_QUERY, result_type=Plan)
        errors = await handle.query(ERRORS_QUERY, result_type=Errors)
        go_on.set()
        result = await handle.result()
        at_the_end = await handle.query(PROGRESS_QUERY, result_type=Progress)
    assert progress == Progress(
        run_id=result.run_id,
        phase=Phase.EXECUTE,
        selection_complete=True,
        files_total=20,
        files_done=10,
        bytes_total=2000,
        bytes_done=1000,
        shards_total=2,
        shards_done=1,
        started_ns=result.started_ns,
        bytes_per_second=progress.bytes_per_second,
        seconds_left=progress.seconds_left,
    )
    assert plan == Plan(
        strategy="incremental",
        reason="a parent exists",
        parent=PARENT_ID,
        selection_complete=True,
        pages=2,
        shards=2,
        files=20,
        files_to_move=plan.files_to_move,
        bytes_to_move=2000,
    )
    assert errors == Errors()
    assert (at_the_end.phase, at_the_end.status) == (Phase.DONE, RunStatus.COMPLETE)
    assert at_the_end.snapshot_id == SNAPSHOT_ID


async def test_a_temporary_error_is_retried(client: Client) -> None:
    script = ScriptedBackup(shards_of_pages=(1,))
    script.failures[names.STORE_SHARD] = [ApplicationError("the disk is full", type="StorageFullError")]
    script.failures[names.COMMIT_SNAPSHOT] = [ApplicationError("no answer", type="StorageUnavailableError")]
    result = await run(client, script)
    assert result.status is RunStatus.COMPLETE
    assert (script.count(names.STORE_SHARD), script.count(names.COMMIT_SNAPSHOT)) == (2, 2)


async def test_a_permanent_error_ends_the_run_with_its_own_type_and_message(client: Client) -> None:
    stopped: list[int] = []
    all_run = asyncio.Event()
    script = ScriptedBackup(shards_of_pages=(3,))

    async def first_fails(shard: int) -> None:
        if script.storing == FAST.window:
            all_run.set()
        if shard != 0:
            try:
                await heartbeat_until_cancelled()
            except asyncio.CancelledError:
                stopped.append(shard)
                raise
        await all_run.wait()
        raise ApplicationError("the storage refuses\nask", type="StorageDeniedError", non_retryable=True)

    script.before[names.STORE_SHARD] = first_fails
    async with workers(client, script) as queue:
        handle = await start(client, queue)
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
        description = await handle.describe()
    cause = failed.value.cause
    assert isinstance(cause, ApplicationError)
    assert (cause.type, cause.message) == ("StorageDeniedError", "the storage refuses\nask")
    assert sorted(stopped) == [1, 2]
    assert description.typed_search_attributes[STATUS] == "failed"
    (log,) = script.logs
    assert (log.ending.status, log.ending.failure_kind) == (RunStatus.FAILED, "StorageDeniedError")
    assert log.progress.shards_planned == 3
    assert script.closes == []
    await replay(client, cast("WorkflowHandle[object, object]", handle))


async def test_a_run_that_cannot_even_record_its_failure_still_says_why(client: Client) -> None:
    script = ScriptedBackup()
    script.failures[names.TRIGGER_BACKUP] = [
        ApplicationError("no key opens", type="WrongPasswordError", non_retryable=True)
    ]
    script.failures[names.LOG_BACKUP] = [ApplicationError("no disk", type="OSError", non_retryable=True)]
    with pytest.raises(WorkflowFailureError) as failed:
        await run(client, script)
    cause = failed.value.cause
    assert isinstance(cause, ApplicationError)
    assert (cause.type, cause.message) == ("WrongPasswordError", "no key opens")


async def test_files_are_listed_while_the_snapshot_is_written(client: Client) -> None:
    begun = {name: asyncio.Event() for name in (names.COMMIT_SNAPSHOT, names.LIST_FILES)}
    script = ScriptedBackup(shards_of_pages=(1,))

    def once_both_have_begun(name: str) -> Hook:
        async def wait(_number: int) -> None:
            begun[name].set()
            await asyncio.gather(*(event.wait() for event in begun.values()))

        return wait

    script.before |= {name: once_both_have_begun(name) for name in begun}
    await run(client, script)
    assert [(listing.pages, listing.shards) for listing in script.lists] == [(1, 1)]


async def test_a_commit_that_fails_stops_the_listing_first(client: Client) -> None:
    listing, stopped = asyncio.Event(), asyncio.Event()

    async def list_until_cancelled(_number: int) -> None:
        listing.set()
        try:
            await heartbeat_until_cancelled()
        except asyncio.CancelledError:
            stopped.set()
            raise

    async def fail_meanwhile(_number: int) -> None:
        await listing.wait()
        raise ApplicationError("no room", type="StorageDeniedError", non_retryable=True)

    async def after_the_listing(_number: int) -> None:
        assert stopped.is_set()

    script = ScriptedBackup(
        shards_of_pages=(1,),
        before={
            names.LIST_FILES: list_until_cancelled,
            names.COMMIT_SNAPSHOT: fail_meanwhile,
            names.LOG_BACKUP: after_the_listing,
        },
    )
    with pytest.raises(WorkflowFailureError):
        await run(client, script)
    (log,) = script.logs
    assert (log.ending.status, log.ending.failure_kind) == (RunStatus.FAILED, "StorageDeniedError")
    assert log.committed is None


async def test_a_list_that_fails_leaves_a_record_of_the_snapshot(client: Client) -> None:
    async def fail_after_the_commit(_number: int) -> None:
        while script.count(names.COMMIT_SNAPSHOT) == 0:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        raise ApplicationError("damaged", type="CorruptFileError", non_retryable=True)

    script = ScriptedBackup(shards_of_pages=(1,), before={names.LIST_FILES: fail_after_the_commit})
    with pytest.raises(WorkflowFailureError):
        await run(client, script)
    (log,) = script.logs
    assert log.ending.status is RunStatus.FAILED
    assert log.committed is not None
    assert log.committed.snapshot_id == SNAPSHOT_ID


async def test_shards_whose_blobs_vanished_are_stored_again(client: Client) -> None:
    script = ScriptedBackup(shards_of_pages=(4,), vanishing=[{1, 3}, {3}])
    result = await run(client, script)
    assert script.stored == {(0, 0): 1, (0, 1): 2, (0, 2): 1, (0, 3): 3}
    assert script.count(names.COMMIT_SNAPSHOT) == script.count(names.LIST_FILES) == 3
    assert result.snapshot_id == SNAPSHOT_ID


async def test_a_rescan_selects_everything_again_in_a_new_generation(client: Client) -> None:
    script = ScriptedBackup(shards_of_pages=(2, 1), commits=[Committed(rescan=True)])
    result = await run(client, script)
    assert sorted(script.stored) == [(generation, shard) for generation in (0, 1) for shard in range(3)]
    assert result.selected.files_new == 30, "the counts of the first selection are dropped"
    assert script.logs[0].run.generation == 1
    assert script.count(names.TRIGGER_BACKUP) == 1


async def test_endless_rescans_end_the_run(client: Client) -> None:
    script = ScriptedBackup(shards_of_pages=(1,), commits=[Committed(rescan=True)] * 10)
    with pytest.raises(WorkflowFailureError) as failed:
        await run(client, script)
    cause = failed.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.type == "RunStateError"
    assert script.count(names.COMMIT_SNAPSHOT) == 4
    assert script.closes == []


async def test_cancelling_waits_for_the_work_to_stop_and_keeps_the_workspace(client: Client) -> None:
    running = asyncio.Event()
    stopped: list[int] = []
    script = ScriptedBackup(shards_of_pages=(2,))

    async def stop_slowly(shard: int) -> None:
        if script.storing == 2:
            running.set()
        try:
            await heartbeat_until_cancelled()
        except asyncio.CancelledError:
            await asyncio.sleep(0.3)
            stopped.append(shard)
            raise

    async def all_have_stopped(_number: int) -> None:
        assert sorted(stopped) == [0, 1]

    script.before[names.STORE_SHARD] = stop_slowly
    script.before[names.LOG_BACKUP] = all_have_stopped
    async with workers(client, script) as queue:
        handle = await start(client, queue)
        await running.wait()
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        description = await handle.describe()
    assert description.status is WorkflowExecutionStatus.CANCELED
    assert description.typed_search_attributes[STATUS] == "cancelled"
    assert [(log.ending.status, log.ending.failure_kind) for log in script.logs] == [
        (RunStatus.CANCELLED, "")
    ]
    assert script.closes == []
    await replay(client, cast("WorkflowHandle[object, object]", handle))


async def test_a_long_run_goes_on_in_new_histories(client: Client) -> None:
    """What waits goes along."""
    script = ScriptedBackup(shards_of_pages=(3, 4, 0, 5, 1), vanishing=[set(range(10))])
    policy = replace(FAST, steps_per_history=4)
    async with workers(client, script) as queue:
        handle = await start(client, queue, replace(REQUEST, policy=policy))
        result = await handle.result()
    run_ids = await replay(client, cast("WorkflowHandle[object, object]", handle))
    assert len(run_ids) >= 5
    assert result.run_id == f"{handle.id}/{handle.first_execution_run_id}"
    assert script.stored == {(0, shard): 2 if shard < 10 else 1 for shard in range(13)}
    assert result.selected.files_new == 130
    assert result.stored.files == 230
    assert script.count(names.TRIGGER_BACKUP) == 1
    assert script.logs[0].progress.started_ns == script.triggers[0].started_ns == result.started_ns
    assert script.logs[0].request.progress is None


async def test_work_redone_for_too_long_goes_on_in_a_new_history(client: Client) -> None:
    script = ScriptedBackup(shards_of_pages=(6,), vanishing=[{0, 1, 2, 3, 4, 5}, {0}])
    policy = replace(FAST, steps_per_history=10)
    result = await run(client, script, replace(REQUEST, policy=policy))
    assert script.stored == {(0, shard): 2 if shard else 3 for shard in range(6)}
    assert result.status is RunStatus.COMPLETE


async def test_a_resumed_run_keeps_its_workspace_and_is_recorded_by_itself(client: Client) -> None:
    script = ScriptedBackup()
    script.opened = replace(script.opened, resumed=True, started_ns=1_700_000_000_000_000_000)
    result = await run(client, script, replace(REQUEST, resume_run="backup-home/1"))
    asked, told = script.triggers[0].run, script.logs[0].run
    assert asked.run_id == told.run_id == "backup-home/1"
    assert asked.record_id == told.record_id == result.run_id != "backup-home/1"
    assert result.started_ns == 1_700_000_000_000_000_000
    assert script.logs[0].progress.started_ns == 1_700_000_000_000_000_000


async def test_a_run_that_has_its_snapshot_already_stores_nothing(client: Client) -> None:
    script = ScriptedBackup()
    script.opened = replace(script.opened, finished_snapshot=SNAPSHOT_ID)
    result = await run(client, script)
    assert result.snapshot_id == SNAPSHOT_ID
    assert (script.count(names.SELECT_PAGE), script.count(names.STORE_SHARD)) == (0, 0)
    assert (script.count(names.COMMIT_SNAPSHOT), script.count(names.VERIFY_BACKUP)) == (1, 1)


async def test_the_status_of_the_commit_is_the_status_of_the_run(client: Client) -> None:
    script = ScriptedBackup(
        commits=[
            Committed(snapshot_id=SNAPSHOT_ID, status=RunStatus.PARTIAL, totals=SnapshotTotals(errors=4))
        ],
        verdict_ok=False,
    )
    result = await run(client, script, replace(REQUEST, verify=VerifyLevel.FULL))
    assert (result.status, result.totals.errors) == (RunStatus.PARTIAL, 4)
    assert result.verdict is not None
    assert (result.verdict.ok, result.verdict.problems) == (False, 2)


async def test_verification_can_be_left_out(client: Client) -> None:
    script = ScriptedBackup()
    result = await run(client, script, replace(REQUEST, verify=VerifyLevel.NONE))
    assert result.verdict is None
    assert script.count(names.VERIFY_BACKUP) == 0


async def test_a_worker_without_memory_of_the_run_goes_on(client: Client) -> None:
    """Each workflow task is replayed from the history's start when nothing is cached."""
    script = ScriptedBackup(shards_of_pages=(3, 3))
    async with workers(client, script, cached_workflows=0) as queue:
        result = await (await start(client, queue)).result()
    assert result.stored.files == 60
    assert set(script.stored.values()) == {1}
