"""Worker processes that are killed, stopped, frozen and orphaned while a backup runs."""

import asyncio
import os
import signal
import subprocess
import sys

import psutil
import pytest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError

from holdfast.contracts.control import THROTTLE, Throttle, ThrottleRequest
from holdfast.service.journal.journal import Journal
from holdfast.terms import RunStatus
from tests.support.comparison import MIB, plant, restic, same
from tests.support.runs import BackupHandle, run_restore, start_backup, stored_bytes
from tests.support.service import PASSWORD, PROJECT, Installation, running_worker, start_worker

CHECKPOINT_DISTANCE_BYTES = 256 * MIB
TWO_CHECKPOINTS_BYTES = 600 * MIB
"""So that two deaths cost less than the whole."""
LARGE_BYTES = 240 * MIB
_ORPHAN = """
import os, sys, time
from holdfast.contracts.worker import WorkerConfig
from dataclasses import replace
from pathlib import Path
from tests.support.service import start_worker
config = replace(WorkerConfig.from_json(sys.stdin.buffer.read()), supervisor_pid=os.getpid())
print(start_worker(config, log=Path(sys.argv[1])).pid, flush=True)
time.sleep(600)
"""


async def assert_one_whole_snapshot(client: Client, installation: Installation, handle: BackupHandle) -> int:
    """The run ends complete, with one snapshot that restic and a restore find to be right; bytes read again."""
    result = await handle.result()
    assert result.status is RunStatus.COMPLETE
    assert result.verdict is not None
    assert result.verdict.ok
    restored = await run_restore(client, installation)
    assert restored.status is RunStatus.COMPLETE
    assert same(installation.source, installation.target)
    assert restic(installation.repository, PASSWORD, "snapshots", "--json").count('"short_id"') == 1
    assert "no errors were found" in restic(installation.repository, PASSWORD, "check", "--read-data")
    return result.stored.bytes_reread


async def test_kill_dash_nine_costs_at_most_a_checkpoint(client: Client, installation: Installation) -> None:
    plant(installation.source, files=10, large_bytes=TWO_CHECKPOINTS_BYTES)
    handle = await start_backup(client, installation)
    for fraction in (3, 2):
        process = start_worker(installation.worker_config(), log=installation.log)
        await stored_bytes(installation.repository, TWO_CHECKPOINTS_BYTES // fraction)
        process.kill()
        process.wait()
    with running_worker(installation.worker_config(), log=installation.log):
        reread_bytes = await assert_one_whole_snapshot(client, installation, handle)
    assert reread_bytes <= 2 * CHECKPOINT_DISTANCE_BYTES


async def test_sigterm_hands_the_work_over(client: Client, installation: Installation) -> None:
    plant(installation.source, files=10, large_bytes=LARGE_BYTES)
    handle = await start_backup(client, installation)
    with running_worker(installation.worker_config(), log=installation.log) as process:
        await stored_bytes(installation.repository, LARGE_BYTES // 4)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 60) == 0
    with running_worker(installation.worker_config(), log=installation.log):
        await assert_one_whole_snapshot(client, installation, handle)


async def test_a_frozen_worker_that_wakes_up_late_harms_nothing(
    client: Client, installation: Installation
) -> None:
    plant(installation.source, files=10, large_bytes=LARGE_BYTES)
    handle = await start_backup(client, installation)
    with running_worker(installation.worker_config(), log=installation.log) as frozen:
        await stored_bytes(installation.repository, LARGE_BYTES // 3)
        frozen.send_signal(signal.SIGSTOP)
        with running_worker(installation.worker_config(process=1), log=installation.log):
            await stored_bytes(installation.repository, LARGE_BYTES // 2)
            frozen.send_signal(signal.SIGCONT)
            await assert_one_whole_snapshot(client, installation, handle)


async def test_a_cancelled_run_is_resumed_from_where_it_was(
    client: Client, installation: Installation
) -> None:
    plant(installation.source, files=10, large_bytes=LARGE_BYTES)
    handle = await start_backup(client, installation)
    # Or it may be at its end before the cancellation has come to it.
    await handle.signal(THROTTLE, ThrottleRequest(throttle=Throttle(bytes_per_second=40 * MIB)))
    with running_worker(installation.worker_config(), log=installation.log):
        await stored_bytes(installation.repository, LARGE_BYTES // 2)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED
        run_id = f"{handle.id}/{handle.first_execution_run_id}"
        journal = Journal.at(installation.state_dir / "journal.db")
        cancelled = journal.run(run_id)
        assert cancelled is not None
        assert cancelled.status is RunStatus.CANCELLED
        assert installation.workspace_files()
        assert not restic(installation.repository, PASSWORD, "list", "snapshots")

        resumed = await start_backup(client, installation, installation.backup_request(resume_run=run_id))
        result = await resumed.result()
        assert result.run_id == f"{resumed.id}/{resumed.first_execution_run_id}"
        assert result.started_ns > cancelled.ended_ns
        assert result.stored.checkpoints_resumed >= 1
        await assert_one_whole_snapshot(client, installation, resumed)
    assert installation.workspace_files() == []
    complete = journal.run(result.run_id)
    assert complete is not None
    assert (complete.status, complete.resumes) == (RunStatus.COMPLETE, run_id)
    assert journal.run(run_id) == cancelled


async def test_a_worker_ends_with_its_supervisor(installation: Installation) -> None:
    supervisor = subprocess.Popen(
        [sys.executable, "-c", _ORPHAN, str(installation.log)],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(PROJECT), "PATH": os.environ.get("PATH", os.defpath)},
    )
    assert supervisor.stdin is not None
    assert supervisor.stdout is not None
    with supervisor.stdin, supervisor.stdout:
        supervisor.stdin.write(installation.worker_config().to_json())
        supervisor.stdin.close()
        worker = psutil.Process(int(await asyncio.to_thread(supervisor.stdout.readline)))
        while not any(c.status == psutil.CONN_ESTABLISHED for c in worker.net_connections()):
            await asyncio.sleep(0.05)
        supervisor.kill()
        supervisor.wait()
        await asyncio.to_thread(psutil.wait_procs, [worker], timeout=60)
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
