"""Runs stand aside on a real server: while they are asked to, for as long as that, and apart from a person's pause."""

import asyncio
import time
import uuid
from dataclasses import replace
from typing import cast

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError

from holdfast.activities.hand_over import handed_over
from holdfast.contracts import names
from holdfast.contracts.backup import BackupProgress
from holdfast.contracts.common import PROGRESS_QUERY, Progress
from holdfast.contracts.control import (
    LONGEST_STAND_S,
    PAUSE,
    RESUME,
    STAND_ASIDE,
    ControlState,
    StandAside,
)
from holdfast.terms import RunStatus
from holdfast.units import NS_PER_S
from tests.unit.workflows.running import workers
from tests.unit.workflows.scripted import ScriptedBackup
from tests.unit.workflows.test_backup_workflow import REQUEST, Handle, start
from tests.unit.workflows.test_control import ANNA, Held, control_of, ended

PRUNE = "prune:box:vault:all"
WHAT_FOR = "a prune's short part"


def stand(*, for_s: float, by: str = PRUNE) -> StandAside:
    return StandAside(by=by, what_for=WHAT_FOR, until_ns=time.time_ns() + round(for_s * NS_PER_S))


async def held_run(client: Client, queue: str, held: Held) -> Handle:
    handle = await start(client, queue)
    await held.began.wait()
    return handle


async def until_stopped(held: Held) -> None:
    while not held.stopped:
        await asyncio.sleep(0.02)


async def progress_of(handle: Handle) -> Progress:
    progress: Progress = await handle.query(PROGRESS_QUERY, result_type=Progress)
    return progress


async def test_a_run_stands_until_it_is_told_to_go_on(client: Client) -> None:
    script = ScriptedBackup(shards_of_pages=(1,))
    held = Held(script)
    async with workers(client, script) as queue:
        handle = await held_run(client, queue, held)
        await handle.signal(STAND_ASIDE, stand(for_s=60))
        await until_stopped(held)
        standing = await progress_of(handle)
        before = script.count(names.STORE_SHARD)
        await handle.signal(STAND_ASIDE, StandAside(by=PRUNE))
        result = await ended(client, handle)
    assert (standing.waits_for, standing.paused) == (WHAT_FOR, False)
    assert (before, script.count(names.STORE_SHARD)) == (1, 2)
    assert result.status is RunStatus.COMPLETE


async def test_a_stand_that_nobody_ends_ends_by_itself(client: Client) -> None:
    script = ScriptedBackup(shards_of_pages=(1,))
    held = Held(script)
    async with workers(client, script) as queue:
        handle = await held_run(client, queue, held)
        await handle.signal(STAND_ASIDE, stand(for_s=2))
        result = await ended(client, handle)
    assert held.stopped == 1
    assert result.status is RunStatus.COMPLETE


async def test_a_stand_that_is_asked_again_lasts_longer_and_stops_nothing_twice(client: Client) -> None:
    script = ScriptedBackup(shards_of_pages=(1,))
    held = Held(script)
    async with workers(client, script) as queue:
        handle = await held_run(client, queue, held)
        await handle.signal(STAND_ASIDE, stand(for_s=2))
        await until_stopped(held)
        await handle.signal(STAND_ASIDE, stand(for_s=60))
        await asyncio.sleep(3)
        assert (await progress_of(handle)).waits_for == WHAT_FOR
        await handle.signal(STAND_ASIDE, StandAside(by=PRUNE))
        await ended(client, handle)
    assert script.count(names.STORE_SHARD) == 2


@pytest.mark.parametrize("kind", ["temporary", "final"])
async def test_a_step_that_fails_while_it_is_stopped_is_begun_again_if_that_helps(
    client: Client, kind: str
) -> None:
    script = ScriptedBackup(shards_of_pages=(1,))
    held = Held(script)

    async def fails_when_stopped(shard: int) -> None:
        try:
            await held(shard)
        except asyncio.CancelledError:
            raise ApplicationError("locked", type="Locked", non_retryable=kind == "final") from None

    script.before[names.STORE_SHARD] = fails_when_stopped
    async with workers(client, script) as queue:
        handle = await held_run(client, queue, held)
        await handle.signal(STAND_ASIDE, stand(for_s=1))
        if kind == "final":
            with pytest.raises(WorkflowFailureError):
                await handle.result()
        else:
            assert (await ended(client, handle)).status is RunStatus.COMPLETE


async def test_what_comes_late_or_from_another_changes_nothing(client: Client) -> None:
    script = ScriptedBackup(shards_of_pages=(1,))
    held = Held(script)
    async with workers(client, script) as queue:
        handle = await held_run(client, queue, held)
        await handle.signal(STAND_ASIDE, stand(for_s=-5))
        assert (await control_of(handle)).stand is None
        await handle.signal(STAND_ASIDE, stand(for_s=100_000))
        capped = await control_of(handle)
        await handle.signal(STAND_ASIDE, StandAside(by="prune:other:vault:all"))
        assert (await control_of(handle)).stand == capped.stand
        await handle.signal(STAND_ASIDE, StandAside(by=PRUNE))
        await ended(client, handle)
    assert capped.stand is not None
    assert capped.stand.until_ns <= time.time_ns() + LONGEST_STAND_S * NS_PER_S


@pytest.mark.parametrize("pause_ends_first", [True, False])
async def test_a_pause_and_a_stand_do_not_end_each_other(client: Client, *, pause_ends_first: bool) -> None:
    script = ScriptedBackup(shards_of_pages=(1,))
    held = Held(script)
    async with workers(client, script) as queue:
        handle = await held_run(client, queue, held)
        await handle.signal(STAND_ASIDE, stand(for_s=60))
        await handle.execute_update(PAUSE, ANNA)
        await until_stopped(held)

        async def end_pause() -> None:
            await handle.execute_update(RESUME, ANNA)

        async def end_stand() -> None:
            await handle.signal(STAND_ASIDE, StandAside(by=PRUNE))

        first, second = (end_pause, end_stand) if pause_ends_first else (end_stand, end_pause)
        await first()
        state = await control_of(handle)
        assert (state.pause is None, state.stand is None) == (pause_ends_first, not pause_ends_first)
        await asyncio.sleep(0.3)
        assert script.count(names.STORE_SHARD) == 1
        await second()
        await ended(client, handle)


async def test_a_stand_that_came_along_into_a_new_history_ends_there(client: Client) -> None:
    script = ScriptedBackup(shards_of_pages=(1,))
    progress = BackupProgress(
        run_id="backup:box:vault:home/1",
        started_ns=time.time_ns(),
        control=ControlState(stand=stand(for_s=2)),
    )
    async with workers(client, script) as queue:
        handle = await start(client, queue, replace(REQUEST, progress=progress))
        assert (await progress_of(handle)).waits_for == WHAT_FOR
        assert script.calls == []
        result = await ended(client, handle)
    assert result.status is RunStatus.COMPLETE


async def test_runs_of_the_repository_are_found_and_no_others(client: Client) -> None:
    alias, other = uuid.uuid4().hex, uuid.uuid4().hex
    scripts = [ScriptedBackup(shards_of_pages=(1,)) for _ in range(3)]
    for script, shown in zip(scripts, (alias, alias, other), strict=True):
        script.opened = replace(script.opened, alias=shown)
    helds = [Held(script) for script in scripts]
    async with (
        workers(client, scripts[0]) as one,
        workers(client, scripts[1]) as two,
        workers(client, scripts[2]) as three,
    ):
        first = await held_run(client, one, helds[0])
        third = await held_run(client, three, helds[2])
        async with handed_over(client, alias, by=PRUNE, what_for=WHAT_FOR, now_ns=time.time_ns) as runs:
            await until_stopped(helds[0])
            second = await held_run(client, two, helds[1])
            await until_stopped(helds[1])
            assert (await progress_of(second)).waits_for == WHAT_FOR
            assert (await progress_of(third)).waits_for == ""
            assert runs.count == 2
        for handle in (first, second):
            assert (await ended(client, handle)).status is RunStatus.COMPLETE
        assert helds[2].stopped == 0
        await cast("WorkflowHandle[object, object]", third).cancel()


async def test_who_asks_is_not_asked(client: Client) -> None:
    alias = uuid.uuid4().hex
    script = ScriptedBackup(shards_of_pages=(1,))
    script.opened = replace(script.opened, alias=alias)
    held = Held(script)
    async with workers(client, script) as queue:
        handle = await held_run(client, queue, held)
        async with handed_over(client, alias, by=handle.id, what_for=WHAT_FOR, now_ns=time.time_ns) as runs:
            await asyncio.sleep(2)
            assert runs.count == 0
        assert held.stopped == 0
        await handle.cancel()
