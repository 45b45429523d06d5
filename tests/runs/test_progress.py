"""Work tells how far it is; in a thread it is told to stop, and waited for."""

import asyncio
import os
import threading
from pathlib import Path
from random import Random

import pytest

from holdfast.restore.finish.finish import finish
from holdfast.restore.request import RestoreOptions
from holdfast.restore.shard.shard import restore_shard
from holdfast.runs.progress import Stop, run_stoppable
from holdfast.verify.plan import plan_verification
from holdfast.verify.shard import read_shard
from holdfast.verify.share import parse_share
from holdfast.verify.trees import check_trees
from tests.support.engine import KIB, EngineRun, new_session
from tests.support.restore import EngineRestore
from tests.support.verification import opened

LIMIT_S = 20.0


async def test_what_is_cancelled_twice_still_waits_for_its_thread() -> None:
    """A server asks for it, and heartbeats fail at the same time."""
    begun, may_end = threading.Event(), threading.Event()
    ended: list[str] = []

    def work(stop: Stop) -> None:
        begun.set()
        try:
            stop.wait(LIMIT_S)
        finally:
            may_end.wait(LIMIT_S)
            ended.append("the thread")

    running = asyncio.create_task(run_stoppable(work))
    await asyncio.to_thread(begun.wait, LIMIT_S)
    for _ in range(3):
        running.cancel()
        done, _ = await asyncio.wait({running}, timeout=0.05)
        assert not done
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ended == ["the thread"]


async def test_what_it_raises_and_returns_comes_through() -> None:
    def fail(_: Stop) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await run_stoppable(fail)
    assert await run_stoppable(lambda _: 7) == 7


def test_each_step_that_moves_bytes_tells_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Heartbeats are made of it, and a cancellation comes by it."""
    told: list[tuple[int, int]] = []

    def tell(things: int, bytes_done: int) -> None:
        told.append((things, bytes_done))

    source = tmp_path / "source"
    for number in range(12):
        (source / f"{number}").mkdir(parents=True)
        (source / f"{number}" / "file").write_bytes(Random(number).randbytes(48 * KIB))
    with new_session(tmp_path / "repository", small=True) as session:
        backup = EngineRun.of(session, source)
        backup.open()
        pages = backup.select()
        for shard in range(sum(page.shards for page in pages)):
            told.clear()
            stored = backup.store(shard, tell)
            assert told[-1][1] == stored.totals.bytes_read, shard
        backup.commit(pages)

        run = opened(session, "verify")
        told.clear()
        check_trees(run, tell)
        assert [things for things, _ in told] == [*range(1, len(source.parts) + 12 + 1)]
        for shard in range(plan_verification(run, parse_share("all"), now_ns=0).shards):
            told.clear()
            read = read_shard(run, shard, tell)
            assert [things for things, _ in told] == [*range(1, read.packs + 1)]
            assert told[-1][1] == read.bytes_read

        options = RestoreOptions(snapshot=f"latest:{source}", target=bytes(tmp_path / "target"))
        restore = EngineRestore(session, options)
        planned = restore.plan()
        shards = sum(page.shards for page in planned)
        for shard in range(shards):
            told.clear()
            with restore.held() as held:
                asyncio.run(restore_shard(held, shard, tell))
            assert told[-1][1] > 0, shard
        monkeypatch.setattr("holdfast.restore.finish.finish._CHECK_EVERY", 1)
        told.clear()
        with restore.held() as held:
            finish(held, len(planned), shards, tell)
        assert len(told) >= len(os.listdir(source))
