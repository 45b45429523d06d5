"""Starts runs and watches them, from a test's event loop."""

import asyncio
import contextlib
import uuid
from pathlib import Path
from typing import Final

from temporalio.client import Client, WorkflowHandle

from holdfast.contracts.backup import BackupRequest, BackupResult
from holdfast.contracts.common import BACKUP_WORKFLOW, PROGRESS_QUERY, RESTORE_WORKFLOW, Progress
from holdfast.contracts.restore import RestoreRequest, RestoreResult
from tests.support.service import Installation

BackupHandle = WorkflowHandle[object, BackupResult]
_LOOK_AGAIN_S: Final = 0.05
"""Between two looks at what a run has stored: nothing tells."""


async def start_backup(
    client: Client, installation: Installation, request: BackupRequest | None = None
) -> BackupHandle:
    """Start a backup; without a request, the installation's usual one. One that resumes a run has its workflow id."""
    asked = installation.backup_request() if request is None else request
    return await client.start_workflow(
        BACKUP_WORKFLOW,
        asked,
        id=asked.resume_run.rpartition("/")[0] or f"backup-{uuid.uuid4()}",
        task_queue=installation.queue,
        result_type=BackupResult,
    )


async def run_restore(
    client: Client, installation: Installation, request: RestoreRequest | None = None
) -> RestoreResult:
    """Restore; without a request, the newest snapshot of the source."""
    result: RestoreResult = await client.execute_workflow(
        RESTORE_WORKFLOW,
        installation.restore_request() if request is None else request,
        id=f"restore-{uuid.uuid4()}",
        task_queue=installation.queue,
        result_type=RestoreResult,
    )
    return result


async def stored_bytes(repository: Path, at_least: int) -> None:
    """Wait until the packs of a repository hold this much."""
    while _stored(repository) < at_least:
        await asyncio.sleep(_LOOK_AGAIN_S)


async def progress_of(handle: BackupHandle) -> Progress:
    """The answer to the progress query."""
    progress: Progress = await handle.query(PROGRESS_QUERY, result_type=Progress)
    return progress


async def everything_stored_about(handle: BackupHandle) -> bytes:
    """What the server keeps of a run, as raw bytes: to search for what must not be there."""
    history = await handle.fetch_history()
    description = await handle.describe()
    events = b"".join(event.SerializeToString() for event in history.events)
    return events + description.raw_description.SerializeToString()


def _stored(repository: Path) -> int:
    """Bytes of packs; those that get their names meanwhile count or not."""
    found = 0
    for path in (repository / "data").glob("*/*"):
        with contextlib.suppress(FileNotFoundError):
            found += path.stat().st_size
    return found
