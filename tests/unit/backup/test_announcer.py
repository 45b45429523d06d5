"""The mark is ahead of the reading, by no more than it promises, and what cannot be marked is not read."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.backup.store.announcer import Announcer
from holdfast.backup.store.checkpoints import ShardCheckpoints
from holdfast.errors import StorageUnavailableError
from holdfast.runs.attempts import Attempt
from holdfast.runs.workspace import Workspace
from tests.support.engine import new_session

MIB = 1 << 20
END = 200 * MIB + 5
MARK_BYTES = 64 * MIB


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with new_session(tmp_path / "repository") as session:
        yield Workspace(session.repository, "run")


def claimed(workspace: Workspace, kind: type[ShardCheckpoints] = ShardCheckpoints) -> ShardCheckpoints:
    """Those of a new attempt at shard 0."""
    checkpoints = kind(Attempt(workspace, "shard-00000000", folder="g0/"))
    checkpoints.claim()
    return checkpoints


@pytest.mark.asyncio
async def test_the_mark_stays_ahead_and_close(workspace: Workspace) -> None:
    checkpoints = claimed(workspace)
    announcer = Announcer(checkpoints, END, MARK_BYTES)
    for position in [*range(0, END, 3 * MIB), END]:
        await announcer.announce(position)
        assert position <= checkpoints.marked <= min(position + MARK_BYTES, END)
    await announcer.settle()

    assert claimed(workspace).reading_so_far(0) == (END, 0)


@pytest.mark.asyncio
async def test_a_file_that_has_grown_is_announced_behind_the_plan(workspace: Workspace) -> None:
    checkpoints = claimed(workspace)

    await Announcer(checkpoints, MIB, MARK_BYTES).announce(2 * MIB)

    assert checkpoints.marked == 2 * MIB


class _Refusing(ShardCheckpoints):
    """Cannot move its mark further than so far."""

    def mark(self, position: int) -> None:
        if position > 2 * MARK_BYTES:
            raise StorageUnavailableError("the disk has gone")
        super().mark(position)


@pytest.mark.asyncio
async def test_nothing_is_read_behind_a_mark_that_could_not_be_written(workspace: Workspace) -> None:
    announcer = Announcer(claimed(workspace, _Refusing), END, MARK_BYTES)
    reached = 0

    async def read_all() -> None:
        nonlocal reached
        for position in range(0, END, 3 * MIB):
            await announcer.announce(position)
            reached = position

    with pytest.raises(StorageUnavailableError):
        await read_all()

    assert 0 < reached <= 2 * MARK_BYTES


class _Slow(ShardCheckpoints):
    """Marks when it is allowed to."""

    allowed = threading.Event()

    def mark(self, position: int) -> None:
        self.allowed.wait(timeout=30)
        super().mark(position)


@pytest.mark.asyncio
async def test_a_reader_that_is_stopped_waits_for_the_mark_that_is_being_written(
    workspace: Workspace,
) -> None:
    """Or it would be written after the attempt has ended, perhaps into a workspace that was removed."""
    checkpoints = claimed(workspace, _Slow)
    announcer = Announcer(checkpoints, END, MARK_BYTES)
    reading = asyncio.create_task(announcer.announce(MIB))
    while not announcer.is_moving:
        await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading

    _Slow.allowed.set()
    await announcer.settle()

    assert checkpoints.marked >= MIB
