"""When a workflow has its end told, and when not; the watchdog's memory from one look to the next."""

import asyncio
import uuid
from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio import activity
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleIntervalSpec,
    ScheduleSpec,
    ScheduleState,
    WorkflowFailureError,
)
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from holdfast.contracts import names
from holdfast.contracts.backup import BackupRequest, BackupResult
from holdfast.contracts.common import BACKUP_WORKFLOW, RESTORE_WORKFLOW
from holdfast.contracts.notify import (
    NOTIFY,
    WATCH,
    WATCHDOG_WORKFLOW,
    WatchdogRequest,
    WatchInput,
    WatchState,
)
from holdfast.contracts.restore import RestoreOpened, RestoreRequest
from holdfast.terms import RunStatus
from holdfast.workflows.catalogue import WORKFLOWS, workflow_runner
from tests.unit.workflows.running import FAST, replay, workers
from tests.unit.workflows.scripted import SNAPSHOT_ID, ScriptedBackup
from tests.unit.workflows.scripted_restore import ScriptedRestore

BACKUP = BackupRequest(repository="vault", source="home", policy=FAST)


async def back_up(client: Client, script: ScriptedBackup) -> None:
    async with workers(client, script) as queue:
        handle = await client.start_workflow(
            BACKUP_WORKFLOW, BACKUP, id=f"backup-{uuid.uuid4()}", task_queue=queue, result_type=BackupResult
        )
        try:
            await handle.result()
        finally:
            await replay(client, handle)


async def test_a_good_end_is_told_last_and_only_where_somebody_wants_to_know(client: Client) -> None:
    script = ScriptedBackup()
    script.opened = replace(script.opened, tell=True)
    await back_up(client, script)
    assert [name for name, _ in script.calls][-2:] == [names.CLOSE_RUN, NOTIFY]
    (told,) = script.told
    assert (told.kind, told.ending.status, told.run.source) == ("backup", RunStatus.COMPLETE, "home")
    silent = ScriptedBackup()
    await back_up(client, silent)
    assert silent.told == []


async def test_a_run_that_could_not_be_opened_is_told_in_any_case(client: Client) -> None:
    script = ScriptedBackup()
    script.failures[names.TRIGGER_BACKUP] = [
        ApplicationError("no key opens", type="WrongPasswordError", non_retryable=True)
    ]
    with pytest.raises(WorkflowFailureError):
        await back_up(client, script)
    (told,) = script.told
    assert (told.ending.status, told.ending.failure_kind) == (RunStatus.FAILED, "WrongPasswordError")


async def test_what_cannot_be_told_does_not_fail_the_run(client: Client) -> None:
    script = ScriptedBackup()
    script.opened = replace(script.opened, tell=True)
    script.failures[NOTIFY] = [ApplicationError("no network", non_retryable=True)]
    await back_up(client, script)


async def test_a_restore_is_told_as_well(client: Client) -> None:
    script = ScriptedRestore(opened=RestoreOpened(snapshot_id=SNAPSHOT_ID, tell=True))
    async with workers(client, script) as queue:
        request = RestoreRequest(repository="vault", selection="@selection", policy=FAST)
        await client.execute_workflow(
            RESTORE_WORKFLOW, request, id=f"restore-{uuid.uuid4()}", task_queue=queue
        )
    assert [told.kind for told in script.told] == ["restore"]


async def test_each_look_of_the_watchdog_knows_what_the_one_before_told(client: Client) -> None:
    """Two looks by one schedule, asked for by hand."""
    looks: list[WatchState] = []

    @activity.defn(name=WATCH)
    async def watch(message: WatchInput) -> WatchState:
        looks.append(message.state)
        return WatchState(told={"home": len(looks)}, seen={"home": message.now_ns})

    queue = f"watchdog-{uuid.uuid4()}"
    worker = Worker(
        client, task_queue=queue, workflows=WORKFLOWS, activities=[watch], workflow_runner=workflow_runner()
    )
    async with worker:
        schedule = await client.create_schedule(
            queue,
            Schedule(
                action=ScheduleActionStartWorkflow(
                    WATCHDOG_WORKFLOW, WatchdogRequest(policy=FAST), id=queue, task_queue=queue
                ),
                spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(days=365))]),
                state=ScheduleState(paused=True),
            ),
        )
        for number in (1, 2):
            await schedule.trigger()
            while len(looks) < number or (await schedule.describe()).info.running_actions:
                await asyncio.sleep(0.05)
        await schedule.delete()
    assert looks[0] == WatchState()
    assert looks[1].told == {"home": 1}
    assert looks[1].seen["home"] > 0
