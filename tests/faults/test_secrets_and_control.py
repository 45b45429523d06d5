"""What never reaches Temporal, logs, arguments or environments; and runs that can be steered whatever happens.

Rows 9, 24, 28 and 30 of the fault list, on a server with a database file.
"""

import asyncio
import base64
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.service import RPCError

from holdfast.contracts.common import BACKUP_WORKFLOW
from holdfast.repository.repository import Repository
from holdfast.storage.local import LocalStorage
from holdfast.terms import RunStatus
from tests.support.comparison import CANARY, MIB, plant, same
from tests.support.faults import assert_sound, leftovers
from tests.support.killing import Server, Watcher, bytes_below, killable_server
from tests.support.runs import everything_stored_about, run_restore, start_backup
from tests.support.service import PASSWORD, Installation, running_worker

SIGNALS = 10_001
SIGNALS_AT_A_TIME = 64


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with killable_server(tmp_path) as server:
        yield server


def said_by(pid: int) -> bytes:
    """Arguments and environments of a process and all that it has started."""
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    texts = [text for process in processes for text in (*process.cmdline(), *process.environ().values())]
    return "\n".join(texts).encode()


def keys_of(installation: Installation) -> list[bytes]:
    """The master key of the repository, in the forms in which it could be written down."""
    key = Repository.open(LocalStorage(installation.repository), PASSWORD).key
    parts = (key.encrypt, key.mac_k, key.mac_r)
    return [form for part in parts for form in (part, part.hex().encode(), base64.b64encode(part))]


async def test_no_name_and_no_secret_leaves_the_worker(tmp_path: Path, server: Server) -> None:
    await server.start()
    client = await server.client()
    installation = Installation(folder=tmp_path / "host", address=server.address)
    plant(installation.source)
    with running_worker(installation.worker_config(), log=installation.log, environment={}) as worker:
        backup = await start_backup(client, installation)
        said = said_by(worker.pid) + said_by(server.pid)
        await backup.result()
        await run_restore(client, installation)
        stored = await everything_stored_about(backup)
    wrong = replace(installation.worker_config(), passwords={str(installation.repository): b"canary-wrong"})
    with running_worker(wrong, log=installation.log):
        failing = await start_backup(client, installation)
        with pytest.raises(WorkflowFailureError):
            await failing.result()
        stored += await everything_stored_about(failing)
    server.kill()
    database = b"".join(path.read_bytes() for path in server.database.parent.glob(server.database.name + "*"))
    everywhere = {
        "database": database,
        "histories": stored,
        "log": installation.log.read_bytes(),
        "processes": said,
    }
    assert installation.queue.encode() in database, "the search finds what is there"
    assert b"--config-fd" in said
    for secret in (CANARY, PASSWORD, *keys_of(installation)):
        assert [place for place, content in everywhere.items() if secret in content] == []


@pytest.mark.faults
async def test_a_journal_that_cannot_be_written_ends_no_run(tmp_path: Path, server: Server) -> None:
    await server.start()
    installation = Installation(folder=tmp_path / "host", address=server.address)
    plant(installation.source, files=3, large_bytes=MIB)
    (installation.state_dir / "journal.db").mkdir(parents=True)
    with running_worker(installation.worker_config(), log=installation.log):
        result = await (await start_backup(await server.client(), installation)).result()
    assert result.status is RunStatus.COMPLETE
    assert_sound(installation.repository, snapshots=1, password=PASSWORD)
    assert "journal" in installation.log.read_text()


@pytest.mark.faults
async def test_a_restoring_worker_that_wakes_up_late_harms_nothing(tmp_path: Path, server: Server) -> None:
    await server.start()
    client = await server.client()
    installation = Installation(folder=tmp_path / "host", address=server.address)
    plant(installation.source, large_bytes=100 * MIB)
    with running_worker(installation.worker_config(), log=installation.log) as frozen:
        await (await start_backup(client, installation)).result()
        with Watcher(installation.source, installation.target) as watcher:
            restoring = asyncio.create_task(run_restore(client, installation))
            await bytes_below(installation.target, 20 * MIB)
            frozen.send_signal(signal.SIGSTOP)
            assert not same(installation.source, installation.target), "it was frozen too late"
            with running_worker(installation.worker_config(process=1), log=installation.log):
                assert (await restoring).status is RunStatus.COMPLETE
                (installation.target / "canary-large").write_bytes(b"written after the restore")
                frozen.send_signal(signal.SIGCONT)
                frozen.send_signal(signal.SIGTERM)
                await asyncio.to_thread(frozen.wait, 60)
    assert watcher.torn <= {"canary-large"}
    assert (installation.target / "canary-large").read_bytes() == b"written after the restore"
    assert leftovers(installation.target) == []


@pytest.mark.faults
async def test_a_run_that_got_all_the_signals_it_may_have_can_be_cancelled(
    tmp_path: Path, server: Server
) -> None:
    await server.start()
    client = await server.client()
    installation = Installation(folder=tmp_path / "host", address=server.address)
    plant(installation.source)
    backup = await start_backup(client, installation)
    refused = await signal_often(client, backup.id)
    assert refused > 0, "the server takes no more signals"
    with running_worker(installation.worker_config(), log=installation.log):
        await backup.cancel()
        with pytest.raises(WorkflowFailureError):
            await backup.result()
    assert (await backup.describe()).status is WorkflowExecutionStatus.CANCELED
    assert (await backup.describe()).workflow_type == BACKUP_WORKFLOW


async def signal_often(client: Client, workflow_id: str) -> int:
    """Send the signals; how many were refused."""
    handle = client.get_workflow_handle(workflow_id)
    numbers, refused = iter(range(SIGNALS)), 0

    async def send() -> None:
        nonlocal refused
        for _ in numbers:
            try:
                await handle.signal("nobody-knows-this-one")
            except RPCError:
                refused += 1

    await asyncio.gather(*(send() for _ in range(SIGNALS_AT_A_TIME)))
    return refused
