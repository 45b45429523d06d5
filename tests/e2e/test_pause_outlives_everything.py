"""A pause in the middle of a file outlives workers and server, and an hour: the run goes on from its checkpoint."""

import asyncio
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from temporalio.client import Client

from holdfast.contracts.backup import BackupRequest, BackupResult
from holdfast.contracts.common import BACKUP_WORKFLOW
from holdfast.contracts.control import THROTTLE, Throttle, ThrottleRequest
from holdfast.terms import RunStatus, VerifyLevel
from tests.support.comparison import MIB, restic
from tests.support.hosts import PASSWORD, Hosts
from tests.support.killing import Server, killable_server
from tests.support.runs import stored_bytes
from tests.support.service import FAST, running_worker

LARGE_BYTES: Final = 96 * MIB
CHECKPOINT_BYTES: Final = 64 * MIB
LIBRARIES: Final = Path("/usr/lib")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with killable_server(tmp_path) as server:
        yield server


async def test_a_paused_file_goes_on_an_hour_after_everything_was_killed(
    tmp_path: Path, server: Server
) -> None:
    an_hour_later = later()
    await server.start()
    hosts = Hosts(folder=tmp_path, address=server.address)
    host = hosts.one
    (host.folder / "docs").mkdir()
    (host.folder / "docs" / "large").write_bytes(os.urandom(LARGE_BYTES))
    host.settings = f'[sources.docs]\nrepository = "home"\npaths = ["{host.folder}/docs"]\n'
    host.write()
    run = f"backup:{host.name}:home:docs"
    client = await server.client()
    handle = await client.start_workflow(
        BACKUP_WORKFLOW,
        BackupRequest(repository="home", source="docs", verify=VerifyLevel.FULL, policy=FAST),
        id=run,
        task_queue=host.queue,
        result_type=BackupResult,
    )
    await handle.signal(THROTTLE, ThrottleRequest(throttle=Throttle(bytes_per_second=12 * MIB)))
    with host.serving() as workers:
        await stored_bytes(hosts.folder / "repository", LARGE_BYTES // 3)
        paused = await asyncio.to_thread(host.answer, "pause", "docs", "--reason", "lunch")
        assert (paused["taken"], paused["pause_reason"]) == (True, "lunch")
        await until_nothing_runs(client, run)
        host.kill(workers)
    server.kill()
    await server.start()
    with running_worker(host.worker_config, log=host.folder / "later.log", environment=an_hour_later):
        shown: dict[str, Any] = {}
        while "control" not in shown:  # it can be asked once its worker is up
            answer = await asyncio.to_thread(host.answer, "status", "docs", code=2)
            shown = answer["sources"][0]["under_way"][0]
        assert (shown["status"], shown["control"]["pause_reason"]) == ("paused", "lunch")
        assert shown["control"]["bytes_per_second"] == 12 * MIB
        await asyncio.to_thread(host.holdfast, "throttle", "docs", "none")
        await asyncio.to_thread(host.holdfast, "resume", "docs")
        client = await server.client()
        result = await client.get_workflow_handle(run, result_type=BackupResult).result()
    assert (result.status, result.totals.bytes_total) == (RunStatus.COMPLETE, LARGE_BYTES)
    assert result.verdict is not None
    assert result.verdict.ok
    assert result.stored.checkpoints_resumed >= 1
    assert result.stored.bytes_reread <= CHECKPOINT_BYTES
    print(f"read again after the pause: {result.stored.bytes_reread} bytes")  # noqa: T201 - for `pytest -rP`
    assert "no errors were found" in restic(hosts.folder / "repository", PASSWORD, "check", "--read-data")


def later() -> dict[str, str]:
    """The clock of workers that come an hour later."""
    libraries = sorted(LIBRARIES.glob("*/faketime/libfaketimeMT.so.1"))
    if not libraries:
        raise FileNotFoundError(errno.ENOENT, "libfaketime is not installed", "faketime")
    return {
        "LD_PRELOAD": str(libraries[0]),
        "FAKETIME": "+3600s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


async def until_nothing_runs(client: Client, workflow_id: str) -> None:
    """Wait until the paused run has no activity any more."""
    while True:
        description = await client.get_workflow_handle(workflow_id).describe()
        if not description.raw_description.pending_activities:
            return
        await asyncio.sleep(0.1)
