"""A real backup hands its lock over at a checkpoint, and goes on in a new generation of it."""

import asyncio
import os
import threading
import time
from typing import Final

from temporalio.client import Client

from holdfast.activities.hand_over import handed_over
from holdfast.contracts.control import THROTTLE, Throttle, ThrottleRequest
from holdfast.repository.exclusive import ExclusiveLock
from holdfast.repository.repository import Repository
from holdfast.storage.local import LocalStorage
from holdfast.terms import RunStatus
from holdfast.workflows.registration import ensure_search_attributes
from tests.support.comparison import MIB, restic, same
from tests.support.runs import progress_of, run_restore, start_backup, stored_bytes
from tests.support.service import PASSWORD, Installation, running_worker

LARGE_BYTES: Final = 96 * MIB
PATIENCE_S: Final = 60.0


async def test_a_backup_hands_its_lock_over_and_goes_on(client: Client, installation: Installation) -> None:
    await ensure_search_attributes(client)
    (installation.source / "large").write_bytes(os.urandom(LARGE_BYTES))
    repository = Repository.open(LocalStorage(installation.repository), PASSWORD)
    with running_worker(installation.worker_config(), log=installation.log):
        backup = await start_backup(client, installation)
        await backup.signal(THROTTLE, ThrottleRequest(throttle=Throttle(bytes_per_second=16 * MIB)))
        await stored_bytes(installation.repository, LARGE_BYTES // 3)
        began = time.monotonic()
        loop, wanted = asyncio.get_running_loop(), asyncio.Event()
        async with handed_over(
            client,
            repository.alias,
            by="prune:test",
            what_for="a prune's short part",
            now_ns=time.time_ns,
            wanted=wanted,
        ) as runs:
            release, held = threading.Event(), threading.Event()

            def on_wait() -> None:
                loop.call_soon_threadsafe(wanted.set)

            def hold() -> None:
                with ExclusiveLock(repository, wait_s=PATIENCE_S, on_wait=on_wait) as lock:
                    held.set()
                    release.wait(PATIENCE_S)
                    lock.check()

            holding = asyncio.create_task(asyncio.to_thread(hold))
            while not held.is_set():
                assert not holding.done()
                await asyncio.sleep(0.05)
            stood_after_s = time.monotonic() - began
            assert (await progress_of(backup)).waits_for == "a prune's short part"
            stored = sum(path.stat().st_size for path in (installation.repository / "data").rglob("*"))
            await asyncio.sleep(2)
            assert stored == sum(
                path.stat().st_size for path in (installation.repository / "data").rglob("*")
            )
            assert runs.count == 1
            release.set()
            await holding
        result = await backup.result()
        await run_restore(client, installation)
    assert result.status is RunStatus.COMPLETE
    assert result.stored.checkpoints_resumed >= 1
    assert same(installation.source, installation.target)
    assert "no errors were found" in restic(installation.repository, PASSWORD, "check", "--read-data")
    print(f"the lock was had after {stood_after_s:.1f} s")  # noqa: T201 - for `pytest -rP`
