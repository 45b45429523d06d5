"""Records the histories that test_replay.py replays: `python -m tests.replay.record`, from the project's folder.

Real runs on a real server with real workers. Record again only when a workflow changes in a way that running ones need
not survive; otherwise add histories, and keep the old ones: they hold the workflows to their past.
"""

import asyncio
import contextlib
import json
import re
import shutil
import socket
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError

from holdfast.contracts.backup import BackupResult
from holdfast.contracts.prune import PruneRequest
from holdfast.contracts.repair import RepairRequest
from holdfast.contracts.verbs import PRUNE_WORKFLOW, REPAIR_WORKFLOW, VERIFY_WORKFLOW
from holdfast.contracts.verify import VerifyRequest
from holdfast.repair.documents import RepairOrder
from holdfast.service.settings.requests import write_request
from holdfast.terms import RepairKind
from holdfast.verify.documents import VerifyOrder
from tests.support.comparison import MIB, plant
from tests.support.runs import run_restore, start_backup, stored_bytes
from tests.support.service import FAST, Installation, running_worker
from tests.support.temporal_server import running_server

HISTORIES: Final = Path(__file__).parent / "histories"
# Two pages or shards per history, and more files than the first page of a backup or of a restore holds.
_SHORT: Final = replace(FAST, steps_per_history=2)
_MANY_FILES: Final = 12_000
_LARGE_BYTES: Final = 400 * MIB
_VERIFIED_BYTES: Final = 150 * MIB
_PRUNED_BYTES: Final = 96 * MIB
# The identity of a process, which is in the names of sticky queues too.
_PROCESS: Final = re.compile(r"\d+@" + re.escape(socket.gethostname()))


async def record_long(client: Client, installation: Installation) -> None:
    """Several pages and shards: in one history, then in a chain of them; and their restores."""
    plant(installation.source)
    for number in range(_MANY_FILES):
        (installation.source / f"canary-{number}").write_bytes(b"%d" % (number % 7))
    with running_worker(installation.worker_config(), log=installation.log):
        for name, policy in (("", FAST), ("-continued", _SHORT)):
            backup = await start_backup(client, installation, installation.backup_request(policy=policy))
            await backup.result()
            await save(client, "backup" + name, f"WorkflowId = '{backup.id}'")
            await asyncio.to_thread(_touch_all, installation.source)
        for name, policy in (("", FAST), ("-continued", _SHORT)):
            restored = await run_restore(client, installation, installation.restore_request(policy=policy))
            workflow_id = restored.run_id.rpartition("/")[0]
            await save(client, "restore" + name, f"WorkflowId = '{workflow_id}'")


async def record_cancelled(client: Client, installation: Installation) -> None:
    """A backup that was cancelled inside its large file, and its resumption."""
    plant(installation.source, files=5, large_bytes=_LARGE_BYTES)
    with running_worker(installation.worker_config(), log=installation.log):
        cancelled = await start_backup(client, installation)
        await stored_bytes(installation.repository, _LARGE_BYTES // 3)
        await cancelled.cancel()
        with contextlib.suppress(WorkflowFailureError):
            await cancelled.result()
        if (await cancelled.describe()).status is not WorkflowExecutionStatus.CANCELED:
            raise RuntimeError("the backup was too fast to be cancelled")
        await save(client, "backup-cancelled", f"WorkflowId = '{cancelled.id}'")
        run_id = f"{cancelled.id}/{cancelled.first_execution_run_id}"
        resumed = await start_backup(client, installation, installation.backup_request(resume_run=run_id))
        await resumed.result()
        await save(client, "backup-resumed", f"RunId = '{resumed.first_execution_run_id}'")


async def record_verify(client: Client, installation: Installation) -> None:
    """A verification of the whole repository in one history and in a chain, and one of a chosen snapshot."""
    plant(installation.source, files=5, large_bytes=_VERIFIED_BYTES)
    selection = write_request(installation.state_dir, VerifyOrder(snapshots=("latest",)))
    with running_worker(installation.worker_config(), log=installation.log):
        await (await start_backup(client, installation)).result()
        for name, policy, chosen in (
            ("", FAST, ""),
            ("-continued", _SHORT, ""),
            ("-snapshot", FAST, selection),
        ):
            request = VerifyRequest(repository=installation.repository_token, selection=chosen, policy=policy)
            handle = await client.start_workflow(
                VERIFY_WORKFLOW, request, id=f"verify{name}", task_queue=installation.queue
            )
            await handle.result()
            await save(client, f"verify{name}", f"WorkflowId = '{handle.id}'")


async def record_repair(client: Client, installation: Installation) -> None:
    """The repairs of an index that is gone, of packs, and of snapshots."""
    plant(installation.source, files=5)
    with running_worker(installation.worker_config(), log=installation.log):
        await (await start_backup(client, installation)).result()
        for index in (installation.repository / "index").iterdir():
            index.unlink()
        for kind in RepairKind:
            request = RepairRequest(
                repository=installation.repository_token,
                selection=write_request(installation.state_dir, RepairOrder(kind=kind)),
                policy=FAST,
            )
            handle = await client.start_workflow(
                REPAIR_WORKFLOW, request, id=f"repair-{kind}", task_queue=installation.queue
            )
            await handle.result()
            await save(client, f"repair-{kind}", f"WorkflowId = '{handle.id}'")


async def record_prune(client: Client, installation: Installation) -> None:
    """A prune in one history and in a chain, each of half of what a first backup has stored."""
    with running_worker(installation.worker_config(), log=installation.log):
        for name, policy in (("", FAST), ("-continued", _SHORT)):
            plant(installation.source, files=5, large_bytes=_PRUNED_BYTES)
            first: BackupResult = await (await start_backup(client, installation)).result()
            (installation.source / "canary-file").write_bytes(b"stays")
            with (installation.source / "canary-large").open("r+b") as large:
                large.truncate(_PRUNED_BYTES * 2 // 3)
            await (await start_backup(client, installation)).result()
            (installation.repository / "snapshots" / first.snapshot_id).unlink()
            request = PruneRequest(repository=installation.repository_token, max_unused="0", policy=policy)
            handle = await client.start_workflow(
                PRUNE_WORKFLOW, request, id=f"prune{name}", task_queue=installation.queue
            )
            await handle.result()
            await save(client, f"prune{name}", f"WorkflowId = '{handle.id}'")
            shutil.rmtree(installation.source)
            installation.source.mkdir()


async def save(client: Client, name: str, query: str) -> None:
    """Write each history of a chain, oldest first, without the names of this machine."""
    chain = [run async for run in client.list_workflows(query)]
    chain.sort(key=lambda run: run.start_time)
    for number, run in enumerate(chain, 1):
        handle = client.get_workflow_handle(run.id, run_id=run.run_id)
        history = (await handle.fetch_history()).to_json_dict()
        history["workflowId"] = run.id
        text = _PROCESS.sub("worker", json.dumps(_untraced(history), indent=1, sort_keys=True))
        (HISTORIES / f"{name}-{number}.json").write_text(text + "\n")


def _untraced(value: Any) -> Any:
    """A history without the stack traces of its failures, which name the places where the code lay."""
    if isinstance(value, dict):
        return {key: _untraced(item) for key, item in value.items() if key != "stackTrace"}
    return [_untraced(item) for item in value] if isinstance(value, list) else value


def _touch_all(source: Path) -> None:
    for path in source.glob("canary-*"):
        if path.is_file() and not path.is_symlink():
            path.write_bytes(path.read_bytes() + b"!")


async def _record(folder: Path, address: str) -> None:
    client = await Client.connect(address)
    await record_long(client, Installation(folder=folder / "long", address=address))
    await record_cancelled(client, Installation(folder=folder / "cancelled", address=address))
    await record_prune(client, Installation(folder=folder / "prune", address=address))
    await record_verify(client, Installation(folder=folder / "verify", address=address))
    await record_repair(client, Installation(folder=folder / "repair", address=address))


def main() -> None:
    """Record everything."""
    HISTORIES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, running_server() as address:
        asyncio.run(_record(Path(folder), address))


if __name__ == "__main__":
    main()
