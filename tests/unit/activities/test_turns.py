"""One activity has the turn; the next gets it when it is handed on, and no more than AT_ONCE are under way."""

import asyncio
import threading
from dataclasses import dataclass
from typing import Literal

import pytest
from temporalio.common import WorkerDeploymentVersion
from temporalio.worker import SlotReleaseContext

from holdfast.activities.turns import AT_ONCE, Turn, Turns


@dataclass
class Context:
    """What the SDK says when it asks for a slot."""

    slot_type: Literal["workflow", "activity", "local-activity"] = "activity"
    task_queue: str = "queue"
    worker_identity: str = "worker"
    worker_build_id: str = ""
    worker_deployment_version: WorkerDeploymentVersion | None = None
    is_sticky: bool = False


CONTEXT = Context()


async def turn_of(turns: Turns) -> Turn:
    turn = await asyncio.wait_for(turns.reserve_slot(CONTEXT), timeout=10)
    assert isinstance(turn, Turn)
    assert turns.current is turn
    return turn


def release(turns: Turns, turn: Turn) -> None:
    """As the SDK's core does it: from a thread of its own."""
    thread = threading.Thread(
        target=turns.release_slot, args=(SlotReleaseContext(slot_info=None, permit=turn),)
    )
    thread.start()
    thread.join()


async def begin(turns: Turns) -> "asyncio.Task[Turn]":
    """Ask for a turn that is not there yet."""
    asking = asyncio.create_task(turn_of(turns))
    await asyncio.sleep(0)
    assert turns.try_reserve_slot(CONTEXT) is None
    return asking


@pytest.mark.asyncio
async def test_the_turn_goes_to_the_next_when_it_is_handed_on() -> None:
    turns = Turns()
    first = await turn_of(turns)
    asking = await begin(turns)
    assert not asking.done()

    first.hand_on()

    assert await asking is turns.current


@pytest.mark.asyncio
async def test_an_activity_that_ends_frees_its_turn() -> None:
    turns = Turns()
    first = await turn_of(turns)
    asking = await begin(turns)

    release(turns, first)

    assert await asking is turns.current


@pytest.mark.asyncio
async def test_who_has_handed_the_turn_on_cannot_take_it_from_the_next() -> None:
    turns = Turns()
    first = await turn_of(turns)
    first.hand_on()
    second = await turn_of(turns)

    first.hand_on()
    release(turns, first)

    assert turns.current is second
    assert turns.try_reserve_slot(CONTEXT) is None


@pytest.mark.asyncio
async def test_a_slow_disk_gathers_no_more_than_so_many() -> None:
    turns = Turns()
    under_way = [await turn_of(turns)]
    while len(under_way) < AT_ONCE:
        under_way[-1].hand_on()
        under_way.append(await turn_of(turns))
    under_way[-1].hand_on()
    assert turns.current is None
    asking = await begin(turns)

    release(turns, under_way[0])

    assert await asking is turns.current


@pytest.mark.asyncio
async def test_who_stops_asking_leaves_the_turn_to_others() -> None:
    turns = Turns()
    first = await turn_of(turns)
    given_up, asking = await begin(turns), await begin(turns)
    given_up.cancel()
    await asyncio.wait([given_up])

    first.hand_on()

    assert await asking is turns.current
