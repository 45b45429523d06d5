"""Records more histories, of ends that are not simply good ones: `python -m tests.replay.record_ends`, as record.py.

Runs that fail, before and after they were opened; runs that were cancelled, by the server and by the update; a backup
of which everything was asked that can be asked; hooks, notices and drills. What record.py says of its histories is true
of these.
"""

import asyncio
import contextlib
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle

from holdfast.contracts import names
from holdfast.contracts.backup import BackupRequest
from holdfast.contracts.common import BACKUP_WORKFLOW, RESTORE_WORKFLOW, RunPolicy
from holdfast.contracts.control import (
    CANCEL,
    PAUSE,
    RESUME,
    SET_PRIORITY,
    THROTTLE,
    Asked,
    PriorityRequest,
    Throttle,
    ThrottleRequest,
)
from holdfast.contracts.drill import DrillRequest
from holdfast.contracts.forget import ForgetRequest
from holdfast.contracts.identity import task_queue
from holdfast.contracts.verbs import DRILL_WORKFLOW, FORGET_WORKFLOW, VERIFY_WORKFLOW
from holdfast.contracts.verify import VerifyRequest
from holdfast.contracts.worker import WorkerConfig
from holdfast.terms import Strategy
from tests.replay.record import HISTORIES, save
from tests.support.comparison import MIB, plant
from tests.support.service import FAST, PASSWORD, Installation, running_worker
from tests.support.temporal_server import running_server

Handle = WorkflowHandle[object, object]
_LARGE_BYTES: Final = 60 * MIB
_IMPATIENT: Final = replace(FAST, shard_timeout_s=2, max_attempts=1)
_SLOW: Final = ThrottleRequest(throttle=Throttle(bytes_per_second=4 * MIB))
_ASKED: Final = Asked(by="somebody", reason="to record it")
_UNKNOWN: Final = "@" + 32 * "0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """An installation with its repository, sources, hooks and drills in its settings."""

    client: Client
    at: Installation

    @property
    def queue(self) -> str:
        return task_queue(self.at.host, "main")

    def worker_config(self) -> WorkerConfig:
        return replace(self.at.worker_config(), queues=(self.queue,), passwords={})

    def write_settings(self) -> None:
        at = self.at
        (at.folder / "password").write_bytes(PASSWORD)
        at.settings.write_text(f"""
host = "{at.host}"
[server]
address = "{at.address}"
[worker]
graceful_shutdown = "1s"
heartbeat_throttle = "1s"
[repositories.main]
location = "{at.repository}"
password_file = "{at.folder}/password"
[repositories.main.retention]
keep_last = 1
[sources.home]
repository = "main"
paths = ["{at.source}"]
[sources.told]
repository = "main"
paths = ["{at.source}"]
ping_url = "http://127.0.0.1:9"
before = ["good"]
after = ["bad"]
[sources.prevented]
repository = "main"
paths = ["{at.source}"]
before = ["good", "bad", "never"]
after = ["good"]
[drills.nightly]
source = "home"
check = "true"
[hooks]
good.command = ["true"]
bad.command = ["false"]
never.command = ["true"]
""")

    async def start(self, workflow: str, name: str, request: object, *, slowly: bool = False) -> Handle:
        """Start a run that is named like its history. slowly: so that something can be asked of it."""
        return await self.client.start_workflow(
            workflow,
            request,
            id=name,
            task_queue=self.queue,
            start_signal=THROTTLE if slowly else None,
            start_signal_args=[_SLOW] if slowly else [],
        )

    async def backup(self, name: str, source: str = "home", *, slowly: bool = False) -> Handle:
        request = BackupRequest(repository="main", source=source, strategy=Strategy.FULL, policy=FAST)
        return await self.start(BACKUP_WORKFLOW, name, request, slowly=slowly)

    async def restore(self, name: str, *, policy: RunPolicy = FAST, slowly: bool = False) -> Handle:
        request = replace(self.at.restore_request(policy=policy), repository="main")
        return await self.start(RESTORE_WORKFLOW, name, request, slowly=slowly)

    async def verify(
        self, name: str, selection: str = "", *, policy: RunPolicy = FAST, slowly: bool = False
    ) -> Handle:
        request = VerifyRequest(repository="main", selection=selection, policy=policy)
        return await self.start(VERIFY_WORKFLOW, name, request, slowly=slowly)

    async def drill(self, name: str, drill: str = "nightly") -> Handle:
        return await self.start(
            DRILL_WORKFLOW, name, DrillRequest(repository="main", drill=drill, policy=FAST)
        )

    async def forget(self, name: str, repository: str = "main") -> Handle:
        return await self.start(FORGET_WORKFLOW, name, ForgetRequest(repository=repository, policy=FAST))

    async def ended(self, handle: Handle, status: WorkflowExecutionStatus) -> None:
        """Wait for the run's end, which is to be that one, and write its history."""
        with contextlib.suppress(WorkflowFailureError):
            await handle.result()
        found = (await handle.describe()).status
        if found is not status:
            raise RuntimeError(f"{handle.id} ended as {found}")
        await save(self.client, handle.id, f"WorkflowId = '{handle.id}'")


async def under_way(handle: Handle, activity: str) -> None:
    """Wait until that activity runs."""
    while True:
        description = (await handle.describe()).raw_description
        if any(found.activity_type.name == activity for found in description.pending_activities):
            return
        await asyncio.sleep(0.05)


async def record_cancelled(site: Site) -> None:
    """Runs that were asked to stop, by the server and by the update."""
    cancelled = WorkflowExecutionStatus.CANCELED
    for handle, activity in (
        (await site.restore("restore-cancelled", slowly=True), names.RESTORE_SHARD),
        (await site.verify("verify-cancelled", slowly=True), names.VERIFY_SHARD),
    ):
        await under_way(handle, activity)
        await handle.cancel()
        await site.ended(handle, cancelled)
    for handle, activity in (
        (await site.restore("restore-stopped", slowly=True), names.RESTORE_SHARD),
        (await site.verify("verify-stopped", slowly=True), names.VERIFY_SHARD),
    ):
        await under_way(handle, activity)
        await handle.execute_update(CANCEL, _ASKED)
        await site.ended(handle, WorkflowExecutionStatus.COMPLETED)


async def record_steered(site: Site) -> None:
    """A backup of which everything was asked; the update that ends it came last."""
    handle = await site.backup("backup-steered", slowly=True)
    await under_way(handle, names.STORE_SHARD)
    await handle.execute_update(PAUSE, _ASKED)
    await handle.execute_update(RESUME, _ASKED)
    await under_way(handle, names.STORE_SHARD)
    await handle.execute_update(SET_PRIORITY, PriorityRequest(priority=1))
    await handle.execute_update(THROTTLE, _SLOW)
    await under_way(handle, names.STORE_SHARD)
    await handle.execute_update(CANCEL, _ASKED)
    await site.ended(handle, WorkflowExecutionStatus.COMPLETED)


async def record_failed(site: Site) -> None:
    """Runs that could not be opened, that a hook prevented, that ran out of time; a drill that finds damage."""
    failed = WorkflowExecutionStatus.FAILED
    await site.ended(await site.backup("backup-unopened", _UNKNOWN), failed)
    await site.ended(await site.verify("verify-unopened", _UNKNOWN), failed)
    await site.ended(await site.drill("drill-unopened", "unknown"), failed)
    await site.ended(await site.backup("backup-prevented", "prevented"), failed)
    await site.ended(await site.restore("restore-failed", policy=_IMPATIENT, slowly=True), failed)
    await site.ended(await site.verify("verify-failed", policy=_IMPATIENT, slowly=True), failed)
    for pack in (site.at.repository / "data").rglob("*"):
        if pack.is_file() and pack.stat().st_size > MIB:
            pack.unlink()
    await site.ended(await site.drill("drill-damaged"), WorkflowExecutionStatus.COMPLETED)


async def record_forgotten(site: Site) -> None:
    """A forgetting by a policy, and one that could not be opened."""
    await site.ended(await site.forget("forget"), WorkflowExecutionStatus.COMPLETED)
    await site.ended(await site.forget("forget-unopened", _UNKNOWN), WorkflowExecutionStatus.FAILED)


async def _record(folder: Path, address: str) -> None:
    site = Site(client=await Client.connect(address), at=Installation(folder=folder, address=address))
    site.write_settings()
    plant(site.at.source, files=5, large_bytes=_LARGE_BYTES)
    with running_worker(site.worker_config(), log=site.at.log):
        await record_steered(site)
        await site.ended(await site.backup("backup-told", "told"), WorkflowExecutionStatus.COMPLETED)
        await site.ended(await site.drill("drill"), WorkflowExecutionStatus.COMPLETED)
        await record_forgotten(site)
        await record_cancelled(site)
        await record_failed(site)


def main() -> None:
    """Record everything."""
    HISTORIES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, running_server() as address:
        asyncio.run(_record(Path(folder), address))


if __name__ == "__main__":
    main()
