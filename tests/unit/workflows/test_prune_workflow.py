"""The prune workflow on a real server: its order, whom it waits for, what it asks, new histories."""

import uuid
from dataclasses import replace
from typing import cast

import pytest
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from holdfast.contracts.common import PROGRESS_QUERY, Progress
from holdfast.contracts.guard import APPROVE_UPDATE, Approval
from holdfast.contracts.prune import (
    APPROVAL_QUERY,
    PruneOpened,
    PruneRequest,
    PruneResult,
    PruneStatus,
    SwitchTried,
)
from holdfast.contracts.verbs import PRUNE_WORKFLOW
from holdfast.terms import RunStatus
from tests.unit.workflows.running import FAST, replay, workers
from tests.unit.workflows.scripted_prune import PLAN, SWITCHED, ScriptedPrune

REQUEST = PruneRequest(repository="vault", policy=FAST)
Handle = WorkflowHandle[object, PruneResult]
RESTIC = "anna on mars, process 7, since 2026-11-30T12:00:00"
ASKS = replace(PLAN, ask="80% of the repository would go")


async def start(client: Client, queue: str, request: PruneRequest = REQUEST) -> Handle:
    return await client.start_workflow(
        PRUNE_WORKFLOW,
        request,
        id=f"prune:box:vault:{uuid.uuid4()}",
        task_queue=queue,
        result_type=PruneResult,
    )


async def ended(client: Client, handle: Handle) -> PruneResult:
    result = await handle.result()
    await replay(client, cast("WorkflowHandle[object, object]", handle))
    return result


async def run(client: Client, script: ScriptedPrune, request: PruneRequest = REQUEST) -> PruneResult:
    async with workers(client, script) as queue:
        return await ended(client, await start(client, queue, request))


async def test_the_parts_come_one_after_the_other(client: Client) -> None:
    script = ScriptedPrune()
    result = await run(client, script)
    parts = [name for name, _ in script.calls]
    assert parts == ["open", *["mark"] * 3, "plan", *["repack"] * 2, "switch", *["delete"] * 2]
    assert (result.status, result.switched, result.totals.deleted_packs) == (RunStatus.COMPLETE, SWITCHED, 4)
    assert script.logs[-1].close


@pytest.mark.parametrize("steps", [1, 2, 5])
async def test_it_goes_on_in_new_histories(client: Client, steps: int) -> None:
    script = ScriptedPrune(holders=[(RESTIC,), (RESTIC,)])
    request = replace(REQUEST, policy=replace(FAST, steps_per_history=steps))
    async with workers(client, script) as queue:
        handle = await start(client, queue, request)
        newest = client.get_workflow_handle(handle.id, result_type=PruneResult)
        result = await ended(client, newest)
    assert sorted(script.calls) == sorted(
        [("open", 0), ("plan", 0), ("switch", 0)]
        + [("mark", shard) for shard in range(3)]
        + [(part, shard) for part in ("repack", "delete") for shard in range(2)]
    )
    assert (result.status, result.totals.trees) == (RunStatus.COMPLETE, 30)


async def test_nothing_to_do_and_a_dry_run_end_with_the_plan(client: Client) -> None:
    for script, request in (
        (ScriptedPrune(plan=replace(PLAN, drop_packs=0, repack_packs=0)), REQUEST),
        (ScriptedPrune(plan=ASKS), replace(REQUEST, dry_run=True)),
    ):
        result = await run(client, script, request)
        assert (result.status, result.plan) == (RunStatus.COMPLETE, script.plan)
        assert script.calls[-1] == ("plan", 0)


async def test_other_programs_are_waited_for_before_anybody_is_asked_to_stand(client: Client) -> None:
    script = ScriptedPrune(holders=[(RESTIC,), (RESTIC, "another"), ()])
    await run(client, script)
    assert [wait.known for wait in script.waits] == [(), (RESTIC,), (RESTIC, "another")]
    assert script.calls.count(("switch", 0)) == 1


async def test_who_stayed_is_not_disturbed_again_soon(client: Client) -> None:
    stayed = SwitchTried(holders=("root on mars, process 9",), stayed=("place/9/1",))
    script = ScriptedPrune(tries=[stayed])
    result = await run(client, script)
    assert [wait.stayed for wait in script.waits] == [(), ("place/9/1",)]
    assert result.switched == SWITCHED


async def test_where_no_moment_comes_packs_are_marked(client: Client) -> None:
    script = ScriptedPrune(
        opened=PruneOpened(shards=1, wait_s=0.01), tries=[SwitchTried(holders=(RESTIC,))] * 1_000
    )
    result = await run(client, script)
    assert ("watch", 0) in script.calls
    assert (result.status, result.totals.deleted_packs) == (RunStatus.COMPLETE, 4)


async def test_a_plan_that_asks_waits_for_a_name_and_a_reason(client: Client) -> None:
    script = ScriptedPrune(plan=ASKS)
    async with workers(client, script) as queue:
        handle = await start(client, queue)
        status = await waiting(handle)
        progress: Progress = await handle.query(PROGRESS_QUERY, result_type=Progress)
        for wrong in (Approval(by=" ", reason="x"), Approval(by="anna", reason="")):
            with pytest.raises(WorkflowUpdateFailedError) as refused:
                await handle.execute_update(APPROVE_UPDATE, wrong)
            assert isinstance(refused.value.cause, ApplicationError)
            assert "an approval needs" in refused.value.cause.message
        await handle.execute_update(APPROVE_UPDATE, Approval(by="anna", reason="I know"))
        result = await ended(client, handle)
    assert status.waiting == ASKS.ask
    assert progress.waits_for == ASKS.ask
    assert (result.status, result.refused) == (RunStatus.COMPLETE, "")
    assert script.logs[-1].decided == "approved by anna: I know"


async def test_nobody_answers_in_time(client: Client) -> None:
    script = ScriptedPrune(plan=ASKS, opened=PruneOpened(shards=1, approval_s=1, wait_s=60))
    result = await run(client, script)
    assert (result.status, result.refused) == (RunStatus.PARTIAL, "nobody approved it in time")
    assert script.calls[-1] == ("plan", 0)


async def waiting(handle: Handle) -> PruneStatus:
    while True:
        status: PruneStatus = await handle.query(APPROVAL_QUERY, result_type=PruneStatus)
        if status.waiting:
            return status
