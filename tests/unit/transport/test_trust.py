"""What anybody who reaches the server can try, on a real one: nothing of it is believed, nothing goes wrong by it.

Mallory reads every history, starts, signals and updates what he likes, and polls any queue as a worker of his own. He
has no key. Histories show him what was signed, so most of what he tries is to use it again.
"""

import asyncio
import gc
import uuid
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    PollActivityTaskQueueRequest,
    ResetWorkflowExecutionRequest,
    RespondActivityTaskCompletedRequest,
)
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleSpec,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowUpdateFailedError,
)
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from holdfast.contracts import names
from holdfast.contracts.backup import BackupResult
from holdfast.contracts.common import BACKUP_WORKFLOW, PROGRESS_QUERY, RunRef
from holdfast.contracts.control import CANCEL, CONTROL_QUERY, PAUSE, RESUME, Asked, ControlState
from holdfast.contracts.identity import copy_queue
from holdfast.contracts.runs import ShardInput
from holdfast.contracts.scheduled import SCHEDULED_RUN_WORKFLOW, ScheduledRun
from holdfast.contracts.warrant import UNTRUSTED
from holdfast.control import runs
from holdfast.control.progress import RunView, look
from holdfast.errors import UntrustedError
from holdfast.terms import RunStatus
from holdfast.transport import stamping
from tests.unit.transport import signed
from tests.unit.transport.signed import REQUEST, input_of, replay, start, workers
from tests.unit.workflows.scripted import ScriptedBackup, heartbeat_until_cancelled


class Gate:
    """Shards wait here."""

    def __init__(self, script: ScriptedBackup) -> None:
        self.reached = asyncio.Event()
        self.open = asyncio.Event()
        script.before[names.STORE_SHARD] = self

    async def __call__(self, _shard: int) -> None:
        self.reached.set()
        beating = asyncio.create_task(heartbeat_until_cancelled())
        try:
            await self.open.wait()
        finally:
            beating.cancel()


async def refusal(handle: "WorkflowHandle[Any, Any]") -> ApplicationError:
    """How a run that was refused has failed."""
    with pytest.raises(WorkflowFailureError) as raised:
        await asyncio.wait_for(handle.result(), 60)
    cause = raised.value.cause
    assert isinstance(cause, ApplicationError)
    return cause


async def test_what_the_installation_asks_is_done(ours: Client, tmp_path: Path) -> None:
    script = ScriptedBackup()
    async with workers(ours, script, tmp_path, cached_workflows=0) as queue:
        handle = await start(ours, queue)
        result = await runs.result_of(cast("runs.Handle", handle), lambda: None)
        assert result.status is RunStatus.COMPLETE
        await replay(ours, cast("WorkflowHandle[object, object]", handle))
    assert len(list((tmp_path / "admitted").iterdir())) == 1


@pytest.mark.parametrize("request_", [REQUEST, {}, None, "text", 7, [REQUEST]])
async def test_a_start_without_a_signature_fails_at_once(
    ours: Client, mallory: Client, tmp_path: Path, request_: object
) -> None:
    script = ScriptedBackup()
    async with workers(ours, script, tmp_path) as queue:
        error = await refusal(await start(mallory, queue, request=request_))
        assert error.message.startswith(("a value was refused", "Encoded"))
    assert script.calls == []


@pytest.mark.filterwarnings(
    "ignore:.*was never awaited:RuntimeWarning"
)  # the SDK's, when a workflow has no input
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("count", [0, 2])
async def test_a_start_with_too_few_or_too_many_arguments_fails_at_once(
    ours: Client, mallory: Client, tmp_path: Path, count: int
) -> None:
    script = ScriptedBackup()
    async with workers(ours, script, tmp_path) as queue:
        for client in (ours, mallory):
            handle = await client.start_workflow(
                BACKUP_WORKFLOW, args=[REQUEST] * count, id=f"none-{uuid.uuid4()}", task_queue=queue
            )
            await refusal(handle)
        gc.collect()
    assert script.calls == []


async def test_a_start_counts_once_and_for_its_own_id(ours: Client, mallory: Client, tmp_path: Path) -> None:
    script = ScriptedBackup()
    async with workers(ours, script, tmp_path) as queue:
        handle = await start(ours, queue)
        await handle.result()
        asked, called = await input_of(mallory, handle.id), len(script.calls)
        again = await start(mallory, queue, handle.id, RawValue(asked))
        assert "has started a run before" in await told(ours, again)
        elsewhere = await start(mallory, queue, "", RawValue(asked))
        assert "another place" in await told(ours, elsewhere)
        other_kind = await mallory.start_workflow("Restore", RawValue(asked), id=handle.id, task_queue=queue)
        await refusal(other_kind)
        assert len(script.calls) == called


async def test_a_start_counts_for_a_while_only(
    ours: Client, mallory: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was signed an hour ago, and its first use was prevented."""
    late = stamping.fresh_warrant

    def stale(purposes: Any, *, lasts_s: int, run: str = "") -> Any:
        return late(purposes, lasts_s=lasts_s - 3_600, run=run)

    monkeypatch.setattr(stamping, "fresh_warrant", stale)
    async with workers(ours, ScriptedBackup(), tmp_path) as queue:
        assert "counts no longer" in await told(ours, await start(ours, queue))


async def told(ours: Client, handle: "WorkflowHandle[Any, Any]") -> str:
    """What the installation reads about the end of a run."""
    error = await refusal(ours.get_workflow_handle(handle.id, run_id=handle.result_run_id))
    assert error.type == UNTRUSTED
    return error.message


async def test_signals_and_updates_without_a_signature_change_nothing(
    ours: Client, mallory: Client, tmp_path: Path
) -> None:
    script = ScriptedBackup(shards_of_pages=(1,))
    gate = Gate(script)
    async with workers(ours, script, tmp_path) as queue:
        handle = await start(ours, queue)
        await asyncio.wait_for(gate.reached.wait(), 60)
        his = mallory.get_workflow_handle(handle.id)
        in_a_store = Payload(
            metadata={
                "encoding": b"json/protobuf",
                "messageType": b"temporal.api.sdk.v1.ExternalStorageReference",
            },
            data=b"{}",
        )
        in_a_store.metadata["__temporal_external_storage_reference"] = b"true"
        for arguments in ([Asked(by="m")], [], [1, 2], [None], ["x" * 1_000_000], [RawValue(in_a_store)]):
            await his.signal(CANCEL, args=arguments)
            await his.signal(PAUSE, args=arguments)
            with pytest.raises(WorkflowUpdateFailedError):
                await his.execute_update(PAUSE, args=arguments)
        state = await ours.get_workflow_handle(handle.id).query(CONTROL_QUERY, result_type=ControlState)
        assert state == ControlState()
        gate.open.set()
        assert (await handle.result()).status is RunStatus.COMPLETE
        await replay(ours, cast("WorkflowHandle[object, object]", handle))


async def test_what_was_asked_once_cannot_be_asked_again(
    ours: Client, mallory: Client, tmp_path: Path
) -> None:
    script = ScriptedBackup(shards_of_pages=(1,))
    gate = Gate(script)
    async with workers(ours, script, tmp_path) as queue:
        handle = await start(ours, queue)
        await asyncio.wait_for(gate.reached.wait(), 60)
        ours_again = ours.get_workflow_handle(handle.id)
        await ours_again.execute_update(PAUSE, Asked(by="anna"), result_type=ControlState)
        await ours_again.signal(RESUME, Asked(by="anna"))
        await until(ours_again, paused=False)
        update, resumed = await asked_of(mallory, handle.id)

        his = mallory.get_workflow_handle(handle.id)
        with pytest.raises(WorkflowUpdateFailedError):
            await his.execute_update(PAUSE, RawValue(update))
        await his.signal(PAUSE, RawValue(update))  # an update's, as a signal
        await his.signal(CANCEL, RawValue(resumed))  # another signal's
        await until(ours_again, paused=False)

        await ours_again.execute_update(PAUSE, Asked(by="anna"), result_type=ControlState)
        await his.signal(RESUME, RawValue(resumed))  # the same signal
        await asyncio.sleep(1)
        await until(ours_again, paused=True)
        await ours_again.execute_update(RESUME, Asked(by="anna"), result_type=ControlState)
        gate.open.set()
        assert (await handle.result()).status is RunStatus.COMPLETE
        await replay(ours, cast("WorkflowHandle[object, object]", handle))

        gate.open.clear()
        gate.reached.clear()
        later = await start(ours, queue, handle.id)
        await asyncio.wait_for(gate.reached.wait(), 60)
        with pytest.raises(WorkflowUpdateFailedError):
            await his.execute_update(PAUSE, RawValue(update))
        await until(ours_again, paused=False)
        gate.open.set()
        assert (await later.result()).status is RunStatus.COMPLETE


async def until(handle: "WorkflowHandle[Any, Any]", *, paused: bool) -> None:
    """Wait until a run is paused, or is not."""
    async with asyncio.timeout(60):
        while True:
            state = await handle.query(CONTROL_QUERY, result_type=ControlState)
            assert state.cancel is None
            if (state.pause is not None) is paused:
                return
            await asyncio.sleep(0.1)


async def asked_of(mallory: Client, workflow_id: str) -> tuple[Payload, Payload]:
    """The first update and the first signal of a run, as everybody sees them."""
    updates: list[Payload] = []
    signals: list[Payload] = []
    async for event in mallory.get_workflow_handle(workflow_id).fetch_history_events():
        if event.HasField("workflow_execution_update_accepted_event_attributes"):
            accepted = event.workflow_execution_update_accepted_event_attributes
            updates += accepted.accepted_request.input.args.payloads
        if event.HasField("workflow_execution_signaled_event_attributes"):
            signals += event.workflow_execution_signaled_event_attributes.input.payloads
    return updates[0], signals[0]


@pytest.mark.parametrize("way", ["unsigned", "nothing", "failure", "other", "earlier"])
async def test_a_false_worker_of_steps_makes_the_run_fail_with_a_record(
    ours: Client, mallory: Client, tmp_path: Path, way: str
) -> None:
    script = ScriptedBackup(shards_of_pages=(1,))
    queue = f"test.{uuid.uuid4()}"
    async with workers(ours, script, tmp_path, queue=queue):
        earlier = await start(ours, queue)
        await earlier.result()
    answers = await answers_of(mallory, earlier.id)
    async with signed.workflow_worker(ours, script, tmp_path, queue=queue):
        handle = await start(ours, queue, earlier.id)
        if way == "nothing":
            await answer_nothing(mallory, copy_queue(queue))
            error = await refusal(handle)
        else:
            false = false_step(way, answers)
            async with Worker(mallory, task_queue=copy_queue(queue), activities=[false]):
                error = await refusal(handle)
    assert error.type == UNTRUSTED
    assert script.logs[-1].ending.status is RunStatus.FAILED
    assert script.logs[-1].ending.failure_kind == UNTRUSTED
    await replay(ours, cast("WorkflowHandle[object, object]", handle))


def false_step(way: str, answers: dict[str, Payload]) -> Any:
    @activity.defn(name=names.STORE_SHARD)
    async def store(_message: RawValue) -> Any:
        if way == "failure":
            raise ApplicationError("full", type="StorageFullError", non_retryable=True)
        if way == "unsigned":
            return {"shard": 0, "totals": {}}
        return RawValue(answers[names.STORE_SHARD if way == "earlier" else names.SELECT_PAGE])

    return store


async def answers_of(mallory: Client, workflow_id: str) -> dict[str, Payload]:
    """What the steps of a run have answered, by the names of their activities, as everybody sees it."""
    kinds: dict[int, str] = {}
    answers: dict[str, Payload] = {}
    async for event in mallory.get_workflow_handle(workflow_id).fetch_history_events():
        if event.HasField("activity_task_scheduled_event_attributes"):
            kinds[event.event_id] = event.activity_task_scheduled_event_attributes.activity_type.name
        if event.HasField("activity_task_completed_event_attributes"):
            done = event.activity_task_completed_event_attributes
            answers[kinds[done.scheduled_event_id]] = done.result.payloads[0]
    return answers


async def answer_nothing(mallory: Client, queue: str) -> None:
    """Complete a step without any answer, as no SDK's worker does."""
    task = await mallory.workflow_service.poll_activity_task_queue(
        PollActivityTaskQueueRequest(namespace="default", task_queue=TaskQueue(name=queue), identity="m")
    )
    assert task.activity_type.name == names.STORE_SHARD
    await mallory.workflow_service.respond_activity_task_completed(
        RespondActivityTaskCompletedRequest(namespace="default", task_token=task.task_token)
    )


@workflow.defn(name=BACKUP_WORKFLOW)
class FalseBackup:
    """A worker of Mallory's that gives runs the ends that he likes. Set for each test."""

    result: Any = None
    steps: tuple[tuple[str, str, str, Payload], ...] = ()

    @workflow.run
    async def run(self, _request: RawValue) -> Any:
        for queue, name, step, asked in self.steps:
            await workflow.execute_activity(
                name,
                RawValue(asked),
                task_queue=queue,
                activity_id=step,
                start_to_close_timeout=timedelta(seconds=20),
                retry_policy=RetryPolicy(maximum_attempts=1),
            )
        return self.result

    @workflow.query(name=PROGRESS_QUERY)
    def progress(self) -> Any:
        return {"run_id": "x", "phase": "done", "status": "complete"}


@pytest.mark.parametrize("way", ["unsigned", "earlier", "answer"])
async def test_a_false_worker_of_runs_does_not_make_a_command_say_complete(
    ours: Client, mallory: Client, tmp_path: Path, way: str
) -> None:
    queue = f"test.{uuid.uuid4()}"
    async with workers(ours, ScriptedBackup(), tmp_path, queue=queue):
        earlier = await start(ours, queue)
        await earlier.result()
        answer = await mallory.get_workflow_handle(earlier.id).query(PROGRESS_QUERY, result_type=RawValue)
    history = await mallory.get_workflow_handle(earlier.id).fetch_history()
    [old] = history.events[-1].workflow_execution_completed_event_attributes.result.payloads
    FalseBackup.result = {
        "unsigned": {"run_id": "x", "status": "complete"},
        "earlier": RawValue(old),
        "answer": answer,
    }[way]
    FalseBackup.steps = ()
    async with Worker(
        mallory, task_queue=queue, workflows=[FalseBackup], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        handle = cast("runs.Handle", await start(ours, queue, earlier.id))
        with pytest.raises(UntrustedError, match="not believed"):
            await asyncio.wait_for(runs.result_of(handle, lambda: None), 60)
        view = await look(ours, handle, RunView())
        assert view.progress is None


async def test_steps_of_an_earlier_run_cannot_be_taken_again(
    ours: Client, mallory: Client, tmp_path: Path
) -> None:
    script = ScriptedBackup()
    queue = f"test.{uuid.uuid4()}"
    async with workers(ours, script, tmp_path, queue=queue):
        earlier = await start(ours, queue)
        await earlier.result()
    closing = len(script.closes)
    asked: list[tuple[str, str, Payload]] = []
    async for event in mallory.get_workflow_handle(earlier.id).fetch_history_events():
        if event.HasField("activity_task_scheduled_event_attributes"):
            step = event.activity_task_scheduled_event_attributes
            if step.activity_type.name == names.CLOSE_RUN:
                asked.append((names.CLOSE_RUN, step.activity_id, step.input.payloads[0]))
    assert asked
    FalseBackup.steps = tuple((queue, *step) for step in asked)
    FalseBackup.result = None
    own_queue = f"{queue}.mallory"
    async with (
        workers(ours, script, tmp_path, queue=queue),
        Worker(
            mallory,
            task_queue=own_queue,
            workflows=[FalseBackup],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ),
    ):
        # His run has the same id, and asks the installation's workers for the same step with the same words.
        handle = await mallory.start_workflow(BACKUP_WORKFLOW, 1, id=earlier.id, task_queue=own_queue)
        with pytest.raises(WorkflowFailureError) as raised:
            await asyncio.wait_for(handle.result(), 60)
    FalseBackup.steps = ()
    step_error = raised.value.cause
    assert isinstance(step_error, ActivityError)
    assert isinstance(step_error.cause, ApplicationError)
    assert step_error.cause.type == UNTRUSTED
    assert len(script.closes) == closing


async def test_an_activity_that_no_run_asked_for_is_refused(
    ours: Client, mallory: Client, tmp_path: Path
) -> None:
    script = ScriptedBackup()
    message = ShardInput(run=RunRef(run_id="r", repository="vault", source="home"), shard=0)
    async with workers(ours, script, tmp_path) as queue:
        for client in (mallory, ours):
            for arguments in ([message], [], [message, message], [None]):
                with pytest.raises(Exception, match=r"(?i)activity") as raised:
                    await client.execute_activity(
                        names.STORE_SHARD,
                        args=arguments,
                        id=f"alone-{uuid.uuid4()}",
                        task_queue=copy_queue(queue),
                        start_to_close_timeout=timedelta(seconds=20),
                    )
                assert isinstance(raised.value.__cause__, ApplicationError)
                assert raised.value.__cause__.non_retryable
    assert script.calls == []


async def test_a_run_that_is_reset_does_nothing_again(ours: Client, mallory: Client, tmp_path: Path) -> None:
    script = ScriptedBackup()
    async with workers(ours, script, tmp_path) as queue:
        handle = await start(ours, queue)
        await handle.result()
        called = len(script.calls)
        for event in (4, 3):
            reset = await mallory.workflow_service.reset_workflow_execution(
                ResetWorkflowExecutionRequest(
                    namespace="default",
                    workflow_execution=WorkflowExecution(
                        workflow_id=handle.id, run_id=handle.first_execution_run_id or ""
                    ),
                    workflow_task_finish_event_id=event,
                    request_id=str(uuid.uuid4()),
                )
            )
            again = ours.get_workflow_handle(handle.id, run_id=reset.run_id, result_type=BackupResult)
            await refusal(again)
        assert len(script.calls) == called


async def test_made_up_heartbeats_and_troubles_are_not_shown(
    ours: Client, mallory: Client, tmp_path: Path
) -> None:
    script = ScriptedBackup(shards_of_pages=(1,))
    queue = f"test.{uuid.uuid4()}"

    @activity.defn(name=names.STORE_SHARD)
    async def store(_message: RawValue) -> Any:
        activity.heartbeat({"shard": 0, "files_done": 7_000, "bytes_done": 7})
        if activity.info().attempt == 1:
            raise ApplicationError("the repository is locked", type="RepositoryLockedError")
        await asyncio.sleep(60)

    async with (
        signed.workflow_worker(ours, script, tmp_path, queue=queue),
        Worker(mallory, task_queue=copy_queue(queue), activities=[store]),
    ):
        handle = cast("runs.Handle", await start(ours, queue))
        async with asyncio.timeout(60):
            view = RunView()
            while view.trouble is None:
                view = await look(ours, handle, view)
        assert view.trouble.kind == UNTRUSTED
        await asyncio.sleep(1)
        view = await look(ours, handle, view)
        assert view.progress is not None
        assert view.progress.files_done == 0
        await handle.terminate()


async def test_a_chain_of_runs_goes_on_and_remembers_what_was_asked(
    ours: Client, mallory: Client, tmp_path: Path
) -> None:
    policy = replace(REQUEST.policy, window=1, steps_per_history=2)
    script = ScriptedBackup(shards_of_pages=(6,))
    async with workers(ours, script, tmp_path) as queue:
        handle = await start(ours, queue, request=replace(REQUEST, policy=policy))
        result = await runs.result_of(cast("runs.Handle", handle), lambda: None)
        assert result.status is RunStatus.COMPLETE
        await replay(ours, cast("WorkflowHandle[object, object]", handle))
        chain = [run.run_id async for run in mallory.list_workflows(f"WorkflowId = '{handle.id}'")]
        assert len(chain) > 1
        for run_id in chain:
            asked = await input_of(mallory, handle.id, run_id)
            again = await start(mallory, queue, handle.id, RawValue(asked))
            await told(ours, again)


async def test_a_schedule_starts_what_the_settings_declare_and_its_child_runs(
    ours: Client, mallory: Client, tmp_path: Path
) -> None:
    script = ScriptedBackup()
    async with workers(ours, script, tmp_path) as queue:
        ends = [
            await scheduled(client, queue, name)
            for client, name in ((ours, "declared"), (ours, "forgotten"), (mallory, "declared"))
        ]
    assert [end is None for end in ends] == [True, False, False]
    assert "do not declare" in str(ends[1])
    assert sum(1 for name, _ in script.calls if name == names.COMMIT_SNAPSHOT) == 1


async def scheduled(client: Client, queue: str, name: str) -> BaseException | None:
    """Why a run of a schedule failed, as its starter reads it; None when it did not."""
    own_id = f"{name}.{uuid.uuid4()}"
    order = ScheduledRun(schedule=own_id, workflow_id=f"backup-{uuid.uuid4()}", backup=REQUEST)
    action = ScheduleActionStartWorkflow(SCHEDULED_RUN_WORKFLOW, order, id=own_id, task_queue=queue)
    schedule = await client.create_schedule(own_id, Schedule(action=action, spec=ScheduleSpec()))
    await schedule.trigger()
    try:
        async with asyncio.timeout(60):
            while not (started := (await schedule.describe()).info.recent_actions):
                await asyncio.sleep(0.2)
        ran = started[0].action
        assert isinstance(ran, ScheduleActionExecutionStartWorkflow)
        handle = client.get_workflow_handle(ran.workflow_id, run_id=ran.first_execution_run_id)
        await asyncio.wait_for(handle.result(), 60)
    except WorkflowFailureError as error:
        return error.cause
    finally:
        await schedule.delete()
    return None


async def test_a_migration_believes_what_is_not_signed_and_says_so(
    server_address: str, mallory: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture, keys: signed.Keys
) -> None:
    lenient = await signed.Keys(seals=keys.seals, accept_unsigned=True).client(server_address)
    script = ScriptedBackup(shards_of_pages=(1,))
    gate = Gate(script)
    async with workers(lenient, script, tmp_path) as queue:
        handle = await start(mallory, queue)
        await asyncio.wait_for(gate.reached.wait(), 60)
        await mallory.get_workflow_handle(handle.id).signal(PAUSE, Asked(by="before"))
        ours_again = lenient.get_workflow_handle(handle.id)
        await until(ours_again, paused=True)
        await ours_again.execute_update(RESUME, Asked(by="now"), result_type=ControlState)
        gate.open.set()
        result = await lenient.get_workflow_handle(handle.id, result_type=BackupResult).result()
        assert result.status is RunStatus.COMPLETE
    assert "accept_unsigned" in caplog.text
