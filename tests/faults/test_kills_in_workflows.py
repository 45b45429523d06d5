"""Real workers and a real server, both killed with SIGKILL while a backup or a restore runs.

Rows 20, 26 and 27 of the fault list; one of each in `make test`, the long forms in `make faults`.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from temporalio.client import Client

from holdfast.terms import RunStatus
from tests.support.comparison import MIB, plant, same
from tests.support.faults import assert_sound, leftovers
from tests.support.killing import Server, Watcher, Workers, bytes_below, killable_server
from tests.support.runs import BackupHandle, run_restore, start_backup, stored_bytes
from tests.support.service import PASSWORD, Installation

CHECKPOINT_DISTANCE_BYTES = 256 * MIB
LONGER_THAN_A_COMPLETION_IS_RETRIED_S = 15


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with killable_server(tmp_path) as server:
        yield server


def installed(folder: Path, server: Server, *, large_bytes: int, files: int = 60) -> Installation:
    installation = Installation(folder=folder, address=server.address)
    plant(installation.source, files=files, large_bytes=large_bytes)
    return installation


async def assert_one_snapshot(handle: BackupHandle, installation: Installation, *, kills: int) -> None:
    result = await handle.result()
    assert result.status is RunStatus.COMPLETE
    assert result.verdict is not None
    assert result.verdict.ok
    assert result.stored.bytes_reread <= kills * CHECKPOINT_DISTANCE_BYTES
    assert_sound(installation.repository, snapshots=1, password=PASSWORD)


async def back_up_through_kills(
    server: Server, installation: Installation, client: Client, points: list[int]
) -> None:
    """Kill worker and server together whenever the repository holds as many bytes as a point says."""
    with Workers(installation) as workers:
        workers.start()
        handle = await start_backup(client, installation)
        for point in points:
            await stored_bytes(installation.repository, point)
            workers.kill()
            server.kill()
            await server.start()
            workers.start()
        await assert_one_snapshot(handle, installation, kills=len(points))


async def test_worker_and_server_die_together(tmp_path: Path, server: Server) -> None:
    await server.start()
    installation = installed(tmp_path / "host", server, large_bytes=80 * MIB)
    await back_up_through_kills(server, installation, await server.client(), [30 * MIB])


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(10))
async def test_worker_and_server_die_together_at_random_points(
    tmp_path: Path, server: Server, seed: int
) -> None:
    random = Random(seed)
    large_bytes = 300 * MIB
    await server.start()
    installation = installed(tmp_path / "host", server, large_bytes=large_bytes)
    points = sorted(random.randrange(large_bytes - 20 * MIB) for _ in range(2))
    await back_up_through_kills(server, installation, await server.client(), points)


@pytest.mark.faults
async def test_a_worker_killed_all_the_time(tmp_path: Path, server: Server) -> None:
    await server.start()
    installation = installed(tmp_path / "host", server, large_bytes=600 * MIB)
    with Workers(installation) as workers:
        workers.start()
        handle = await start_backup(await server.client(), installation)
        for point in range(50 * MIB, 550 * MIB, 70 * MIB):
            await stored_bytes(installation.repository, point)
            workers.kill()
            workers.start()
        await assert_one_snapshot(handle, installation, kills=workers.kills)


@pytest.mark.faults
async def test_the_server_is_away_for_longer_than_a_completion_is_retried(
    tmp_path: Path, server: Server
) -> None:
    await server.start()
    installation = installed(tmp_path / "host", server, large_bytes=120 * MIB)
    with Workers(installation) as workers:
        workers.start()
        handle = await start_backup(await server.client(), installation)
        await stored_bytes(installation.repository, 30 * MIB)
        server.kill()
        await asyncio.sleep(LONGER_THAN_A_COMPLETION_IS_RETRIED_S)
        await server.start()
        await assert_one_snapshot(handle, installation, kills=1)


async def restore_through_kills(
    installation: Installation, client: Client, workers: Workers, points: list[int]
) -> Watcher:
    """Restore while the worker is killed at these sizes of the target; nothing torn is ever seen."""
    with Watcher(installation.source, installation.target) as watcher:
        restoring = asyncio.create_task(run_restore(client, installation))
        for point in points:
            await bytes_below(installation.target, point)
            workers.kill()
            assert not same(installation.source, installation.target), "the kill came too late"
            workers.start()
        restored = await restoring
    assert restored.status is RunStatus.COMPLETE
    assert restored.verdict is not None
    assert restored.verdict.ok
    assert same(installation.source, installation.target)
    assert leftovers(installation.target) == []
    assert watcher.torn == set()
    return watcher


async def test_a_killed_restore_goes_on(tmp_path: Path, server: Server) -> None:
    await server.start()
    client = await server.client()
    installation = installed(tmp_path / "host", server, large_bytes=60 * MIB)
    with Workers(installation) as workers:
        workers.start()
        await (await start_backup(client, installation)).result()
        await restore_through_kills(installation, client, workers, [20 * MIB])


@pytest.mark.faults
async def test_a_restore_of_many_batches_killed_again_and_again(tmp_path: Path, server: Server) -> None:
    await server.start()
    client = await server.client()
    installation = installed(tmp_path / "host", server, large_bytes=10 * MIB, files=400)
    random = Random(3)
    for number in range(12):
        (installation.source / f"canary-middling-{number}").write_bytes(random.randbytes(60 * MIB))
    with Workers(installation) as workers:
        workers.start()
        await (await start_backup(client, installation)).result()
        watcher = await restore_through_kills(
            installation, client, workers, [100 * MIB, 300 * MIB, 500 * MIB, 650 * MIB]
        )
    assert len(watcher.seen) > 400
