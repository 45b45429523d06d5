"""The mark is ahead of the reading, by no more than it promises, and what cannot be marked is not read."""

from pathlib import Path

import pytest

from holdfast.backup.announcing import MARK_BYTES, Announcer
from holdfast.backup.checkpoints import ShardCheckpoints
from holdfast.backup.documents import RunKey
from holdfast.errors import StorageUnavailableError
from tests.support.engine import new_session

MIB = 1 << 20
END = 200 * MIB + 5


@pytest.mark.asyncio
async def test_the_mark_stays_ahead_and_close(tmp_path: Path) -> None:
    with new_session(tmp_path / "repository") as session:
        key = RunKey(run_id="run")
        checkpoints = ShardCheckpoints(session.workspace(key.run_id), key, 0)
        checkpoints.claim()
        announcer = Announcer(checkpoints, END)
        for position in [*range(0, END, 3 * MIB), END]:
            await announcer.announce(position)
            assert position <= checkpoints.marked <= min(position + MARK_BYTES, END)
        await announcer.settle()

        later = ShardCheckpoints(session.workspace(key.run_id), key, 0)
        later.claim()

        assert later.reading_so_far(0) == (END, 0)


@pytest.mark.asyncio
async def test_a_file_that_has_grown_is_announced_behind_the_plan(tmp_path: Path) -> None:
    with new_session(tmp_path / "repository") as session:
        key = RunKey(run_id="run")
        checkpoints = ShardCheckpoints(session.workspace(key.run_id), key, 0)
        checkpoints.claim()

        await Announcer(checkpoints, MIB).announce(2 * MIB)

        assert checkpoints.marked == 2 * MIB


class _Refusing(ShardCheckpoints):
    """Cannot move its mark further than so far."""

    def mark(self, position: int) -> None:
        if position > 2 * MARK_BYTES:
            raise StorageUnavailableError("the disk has gone")
        super().mark(position)


@pytest.mark.asyncio
async def test_nothing_is_read_behind_a_mark_that_could_not_be_written(tmp_path: Path) -> None:
    with new_session(tmp_path / "repository") as session:
        key = RunKey(run_id="run")
        checkpoints = _Refusing(session.workspace(key.run_id), key, 0)
        checkpoints.claim()
        announcer = Announcer(checkpoints, END)

        reached = 0

        async def read_all() -> None:
            nonlocal reached
            for position in range(0, END, 3 * MIB):
                await announcer.announce(position)
                reached = position

        with pytest.raises(StorageUnavailableError):
            await read_all()

        assert 0 < reached <= 2 * MARK_BYTES
