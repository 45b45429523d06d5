"""Repairs as workflows: index, packs and snapshots, one after the other; what is lacking is in the journal only."""

import asyncio
import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from random import Random
from typing import cast

from temporalio.client import Client, WorkflowHandle

from holdfast.contracts.control import STAND_ASIDE
from holdfast.contracts.repair import RepairRequest, RepairResult
from holdfast.contracts.verbs import REPAIR_WORKFLOW
from holdfast.file_list import FileAction
from holdfast.repair.documents import RepairOrder
from holdfast.service.journal.journal import Journal
from holdfast.service.settings.requests import write_request
from holdfast.terms import RepairKind, RunKind, RunStatus
from tests.e2e.test_verify_workflow import flip, largest_pack
from tests.locks.test_judgement import Locks
from tests.support.comparison import CANARY, MIB, restic
from tests.support.engine import open_session
from tests.support.runs import BackupHandle, everything_stored_about, progress_of, start_backup
from tests.support.service import FAST, PASSWORD, Installation, running_worker
from tests.unit.workflows.running import replay


async def run_repair(
    client: Client, installation: Installation, order: RepairOrder
) -> tuple[RepairResult, "WorkflowHandle[object, RepairResult]"]:
    handle = await client.start_workflow(
        REPAIR_WORKFLOW,
        RepairRequest(
            repository=installation.repository_token,
            selection=write_request(installation.state_dir, order),
            policy=FAST,
        ),
        id=f"repair-{uuid.uuid4()}",
        task_queue=installation.queue,
        result_type=RepairResult,
    )
    return await handle.result(), handle


@contextmanager
def workers(installation: Installation) -> Iterator[None]:
    """Two of them."""
    with ExitStack() as stack:
        for process in range(2):
            stack.enter_context(
                running_worker(installation.worker_config(process=process), log=installation.log)
            )
        yield


async def test_a_repository_is_sound_again_after_all_three(
    client: Client, installation: Installation
) -> None:
    (installation.source / "canary-large").write_bytes(Random(5).randbytes(40 * MIB))
    (installation.source / "canary-small").write_bytes(b"sound")
    with workers(installation):
        first = await (await start_backup(client, installation)).result()
        pack = largest_pack(installation.repository)
        flip(pack, pack.stat().st_size // 2)
        for index in (installation.repository / "index").iterdir():
            index.unlink()
        mended, mending = await run_repair(client, installation, RepairOrder(kind=RepairKind.INDEX))
        shown = await progress_of(cast("BackupHandle", mending))
        saved, _ = await run_repair(
            client, installation, RepairOrder(kind=RepairKind.PACKS, packs=(pack.name,))
        )
        stored, handle = await run_repair(
            client, installation, RepairOrder(kind=RepairKind.SNAPSHOTS, forget=True)
        )
        await replay(client, cast("WorkflowHandle[object, object]", handle))
        kept = await everything_stored_about(cast("BackupHandle", handle))

    assert mended.status is saved.status is stored.status is RunStatus.COMPLETE
    assert mended.finished is not None
    assert mended.finished.packs_added > 0
    assert shown.files_done == shown.files_total == mended.finished.packs_read
    assert (shown.bytes_done, shown.bytes_total) == (0, 0)  # headers only: no share of what packs measure
    assert saved.finished is not None
    assert (saved.finished.packs_removed, saved.finished.blobs_lost) == (1, 1)
    assert stored.finished is not None
    assert (stored.finished.snapshots_repaired, stored.finished.paths) == (1, 1)
    assert stored.finished.first_repaired == (first.snapshot_id,)
    assert CANARY not in kept
    assert "no errors were found" in restic(installation.repository, PASSWORD, "check", "--read-data")
    journal = Journal.at(installation.state_dir / "journal.db")
    record = journal.run(stored.run_id)
    assert record is not None
    assert (record.kind, record.strategy, record.status) == (RunKind.REPAIR, "snapshots", RunStatus.COMPLETE)
    (lacking,) = journal.files(stored.run_id, [FileAction.DAMAGED])
    assert lacking.path == os.fsencode(installation.source / "canary-large")
    assert installation.workspace_files() == []


async def test_a_backup_under_way_stands_aside_for_the_change_and_ends_well(
    client: Client, installation: Installation
) -> None:
    for number in range(6):
        (installation.source / f"canary-{number}").write_bytes(Random(number).randbytes(40 * MIB))
    with workers(installation):
        backup = await start_backup(client, installation)
        while not any((installation.repository / "index").iterdir()):
            await asyncio.sleep(0.05)
        dry, _ = await run_repair(client, installation, RepairOrder(kind=RepairKind.INDEX, dry_run=True))
        assert STAND_ASIDE not in await signals(backup)
        result, _ = await run_repair(
            client, installation, RepairOrder(kind=RepairKind.INDEX, read_all_packs=True)
        )
        ended = await backup.result()
    assert result.status is RunStatus.COMPLETE
    assert result.finished is not None
    assert result.finished.packs_added > 0
    assert dry.status is RunStatus.COMPLETE
    assert ended.status is RunStatus.COMPLETE
    assert "no errors were found" in restic(installation.repository, PASSWORD, "check", "--read-data")


async def signals(handle: BackupHandle) -> list[str]:
    """The names of the signals that a run has got so far."""
    history = await handle.fetch_history()
    return [
        event.workflow_execution_signaled_event_attributes.signal_name
        for event in history.events
        if event.HasField("workflow_execution_signaled_event_attributes")
    ]


async def test_the_change_waits_for_another_program_and_comes_then(
    client: Client, installation: Installation
) -> None:
    (installation.source / "canary-small").write_bytes(b"sound")
    with workers(installation):
        await (await start_backup(client, installation)).result()
        for index in (installation.repository / "index").iterdir():
            index.unlink()
        with open_session(installation.repository, PASSWORD) as session:
            lock = Locks(installation.repository, session.repository).plant(host="elsewhere", pid=4711)
        running = asyncio.create_task(run_repair(client, installation, RepairOrder(kind=RepairKind.INDEX)))
        finished, _ = await asyncio.wait([running], timeout=8)
        assert not finished
        assert list((installation.repository / "index").iterdir()) == []
        lock.unlink()
        result, _ = await running
    assert result.status is RunStatus.COMPLETE
    assert "no errors were found" in restic(installation.repository, PASSWORD, "check", "--read-data")
