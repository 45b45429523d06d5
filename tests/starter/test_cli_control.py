"""pause, throttle, priority and cancel as commands, on a run that waits for its worker and on one that works."""

import asyncio
import contextlib
from pathlib import Path

import pytest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError

from holdfast.contracts import names
from holdfast.contracts.backup import BackupRequest, BackupResult
from holdfast.contracts.common import BACKUP_WORKFLOW
from holdfast.contracts.control import CANCEL, PAUSE, Asked
from holdfast.errors import UsageError
from holdfast.starter.commands.throttle import ThrottleOptions, wanted_throttle
from holdfast.terms import RunStatus
from tests.support.hosts import Hosts
from tests.support.service import FAST, running_worker


async def test_a_run_is_steered_by_commands(server_address: str, tmp_path: Path) -> None:
    hosts = Hosts(folder=tmp_path, address=server_address)
    host = hosts.one
    (host.folder / "docs").mkdir()
    (host.folder / "docs" / "file").write_text("text")
    host.settings = f'[sources.docs]\nrepository = "home"\npaths = ["{host.folder}/docs"]\n'
    host.write()
    client = await Client.connect(server_address)
    handle = await client.start_workflow(
        BACKUP_WORKFLOW,
        BackupRequest(repository="home", source="docs", policy=FAST),
        id=f"backup:{host.name}:home:docs",
        task_queue=host.queue,
        result_type=BackupResult,
    )
    await handle.signal(PAUSE, Asked(by="anna", reason="lunch"))
    with host.serving():
        refused = await asyncio.to_thread(host.failing, "pause", "docs")
        assert refused.splitlines()[0] == "Error: the run is paused already"
        rates = ("3MiB", "--window", "22:00-06:00=none")
        throttled = await asyncio.to_thread(host.answer, "throttle", "docs", *rates)
        assert throttled["bytes_per_second"] == 3 << 20
        assert throttled["windows"] == [{"start": "22:00", "end": "06:00", "bytes_per_second": 0}]
        await asyncio.to_thread(host.holdfast, "priority", "docs", "1")
        shown = await asyncio.to_thread(host.holdfast, "status", "docs", code=2)
        for line in (
            "Paused by anna (lunch)",
            "Throttle: 3.0 MiB/s; 22:00 to 06:00: no limit",
            "Priority: 1",
        ):
            assert line in shown
        await asyncio.to_thread(host.holdfast, "cancel", "docs")
        result = await handle.result()
        assert result.status is RunStatus.CANCELLED
        over = await asyncio.to_thread(host.failing, "pause", "docs")
        assert "is not under way: cancelled" in over


async def test_a_run_that_is_cancelled_by_update_ends_its_command_as_a_cancelled_one(
    server_address: str, tmp_path: Path
) -> None:
    hosts = Hosts(folder=tmp_path, address=server_address)
    host = hosts.one
    host.settings = '[sources.db]\nrepository = "home"\ncommand = ["sleep", "600"]\nfile = "dump"\n'
    host.write()
    client = await Client.connect(server_address)
    handle = client.get_workflow_handle(f"backup:{host.name}:home:db", result_type=BackupResult)
    with host.serving():
        command = asyncio.create_task(asyncio.to_thread(host.holdfast, "backup", "db", code=130))
        while True:
            await asyncio.sleep(0.2)
            with contextlib.suppress(RPCError):  # it is not there yet
                pending = (await handle.describe()).raw_description.pending_activities
                if any(activity.activity_type.name == names.STORE_SHARD for activity in pending):
                    break
        await handle.execute_update(CANCEL, Asked(by="a service"))
        await command


async def test_a_cancellation_that_comes_with_the_start_is_not_lost(
    server_address: str, tmp_path: Path
) -> None:
    hosts = Hosts(folder=tmp_path, address=server_address)
    client = await Client.connect(server_address)
    handle = await client.start_workflow(
        BACKUP_WORKFLOW,
        BackupRequest(repository="home", source="docs", policy=FAST),
        id=f"backup:{hosts.one.name}:home:docs",
        task_queue=hosts.one.queue,
        result_type=BackupResult,
        start_signal=CANCEL,
        start_signal_args=[Asked(by="a service")],
    )
    with running_worker(hosts.one.worker_config, log=hosts.one.folder / "worker.log"):
        assert (await handle.result()).status is RunStatus.CANCELLED


@pytest.mark.parametrize("rate", ["fast", "1", "-1MiB"])
def test_a_rate_that_is_none_is_refused(rate: str) -> None:
    with pytest.raises(UsageError):
        wanted_throttle(ThrottleOptions(run="docs", rate=rate))


@pytest.mark.parametrize("window", ["22:00=1MiB", "25:00-06:00=1MiB", "06:00-06:00=1MiB", "22:00-06:00="])
def test_a_window_that_is_none_is_refused(window: str) -> None:
    with pytest.raises(UsageError):
        wanted_throttle(ThrottleOptions(run="docs", rate="1MiB", window=(window,)))


async def test_a_run_that_does_not_listen_is_ended_by_force(server_address: str, tmp_path: Path) -> None:
    host = Hosts(folder=tmp_path, address=server_address).one
    (host.folder / "docs").mkdir()
    (host.folder / "docs" / "file").write_text("text")
    host.settings = f'[sources.docs]\nrepository = "home"\npaths = ["{host.folder}/docs"]\n'
    host.write()
    client = await Client.connect(server_address)
    handle = await client.start_workflow(
        BACKUP_WORKFLOW,
        BackupRequest(repository="home", source="docs", policy=FAST),
        id=f"backup:{host.name}:home:docs",
        task_queue="a-queue-that-nobody-polls",
    )
    told = await asyncio.to_thread(host.holdfast, "cancel", "docs", "--force")
    assert "was ended on the server" in told
    assert (await handle.describe()).status is WorkflowExecutionStatus.TERMINATED
    with host.serving():
        await asyncio.to_thread(host.holdfast, "backup", "docs")
