"""Verification as a workflow: damage is found over several workers, named, mended by a full backup, and then gone."""

import asyncio
import os
import uuid
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import cast

from temporalio.client import Client, WorkflowHandle

from holdfast.contracts import names
from holdfast.contracts.common import RunPolicy
from holdfast.contracts.control import THROTTLE, Throttle, ThrottleRequest
from holdfast.contracts.verbs import VERIFY_WORKFLOW
from holdfast.contracts.verify import VerifyRequest, VerifyResult
from holdfast.file_list import FileAction
from holdfast.service.journal.journal import Journal
from holdfast.terms import RunKind, RunStatus, Strategy, VerifyLevel
from tests.support.comparison import CANARY, MIB, restic
from tests.support.runs import BackupHandle, everything_stored_about, start_backup
from tests.support.service import FAST, PASSWORD, Installation, running_worker
from tests.unit.workflows.running import replay


async def run_verify(
    client: Client, installation: Installation, *, share: str = "all", policy: RunPolicy = FAST
) -> tuple[VerifyResult, "WorkflowHandle[object, VerifyResult]"]:
    handle = await client.start_workflow(
        VERIFY_WORKFLOW,
        VerifyRequest(repository=installation.repository_token, share=share, policy=policy),
        id=f"verify-{uuid.uuid4()}",
        task_queue=installation.queue,
        result_type=VerifyResult,
    )
    return await handle.result(), handle


def largest_pack(repository: Path) -> Path:
    packs = [path for path in (repository / "data").rglob("*") if path.is_file()]
    return max(packs, key=lambda path: path.stat().st_size)


def flip(path: Path, at: int) -> None:
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


async def test_one_flipped_bit_is_found_named_mended_and_gone(
    client: Client, installation: Installation
) -> None:
    large = installation.source / "canary-large"
    large.write_bytes(Random(5).randbytes(80 * MIB))
    (installation.source / "canary-small").write_bytes(b"sound")
    with ExitStack() as stack:
        for process in range(2):
            config = installation.worker_config(process=process)
            stack.enter_context(running_worker(config, log=installation.log))
        first = await (await start_backup(client, installation)).result()
        sound, _ = await run_verify(client, installation)
        pack = largest_pack(installation.repository)
        flip(pack, pack.stat().st_size // 2)
        damaged, handle = await run_verify(client, installation, policy=replace(FAST, steps_per_history=1))
        await replay(client, cast("WorkflowHandle[object, object]", handle))
        stored = await everything_stored_about(cast("BackupHandle", handle))
        await (
            await start_backup(client, installation, installation.backup_request(strategy=Strategy.FULL))
        ).result()
        mended, _ = await run_verify(client, installation)
        part, _ = await run_verify(client, installation, share="2/7")

    assert sound.status is mended.status is RunStatus.COMPLETE
    assert damaged.status is RunStatus.FAILED
    assert sound.finished is not None
    assert sound.finished.verdict.ok
    assert sound.finished.verdict.bytes_read > 80 * MIB
    found = damaged.finished
    assert found is not None
    assert not found.verdict.ok
    assert (found.damaged_packs, found.damaged_blobs, found.lost_paths) == (1, 1, 1)
    assert found.first_affected == (first.snapshot_id,)
    assert CANARY not in stored
    assert mended.finished is not None
    assert (mended.finished.verdict.ok, mended.finished.mended_packs) == (True, 1)
    assert part.finished is not None
    assert part.finished.verdict.packs < part.packs_of_repository
    assert installation.workspace_files() == []
    assert not pack.exists()
    assert "no errors were found" in restic(installation.repository, PASSWORD, "check", "--read-data")

    journal = Journal.at(installation.state_dir / "journal.db")
    (lost,) = journal.files(damaged.run_id, [FileAction.DAMAGED])
    assert lost.path == os.fsencode(large)
    record = journal.run(damaged.run_id)
    assert record is not None
    assert record.kind is RunKind.VERIFY
    assert record.verdict is not None
    assert not record.verdict.ok


async def test_a_backups_own_verify_step_marks_what_the_next_full_backup_mends(
    client: Client, installation: Installation
) -> None:
    (installation.source / "canary").write_bytes(Random(5).randbytes(MIB))
    with running_worker(installation.worker_config(), log=installation.log):
        await (await start_backup(client, installation)).result()
        pack = largest_pack(installation.repository)
        flip(pack, pack.stat().st_size // 4)
        damaged = await (await start_backup(client, installation)).result()
        marked = sorted(path.name for path in (installation.repository / "holdfast" / "damaged").iterdir())
        full = installation.backup_request(strategy=Strategy.FULL, verify=VerifyLevel.STRUCTURE)
        mending = await (await start_backup(client, installation, full)).result()
        mended, _ = await run_verify(client, installation)
    assert damaged.verdict is not None
    assert not damaged.verdict.ok
    assert marked == [pack.name]
    assert mending.verdict is not None
    assert mending.verdict.ok
    assert mended.finished is not None
    assert (mended.finished.verdict.ok, mended.finished.mended_packs) == (True, 1)
    assert "no errors were found" in restic(installation.repository, PASSWORD, "check", "--read-data")


async def test_it_goes_on_after_its_worker_was_killed(client: Client, installation: Installation) -> None:
    (installation.source / "canary-large").write_bytes(Random(6).randbytes(60 * MIB))
    slow = ThrottleRequest(throttle=Throttle(bytes_per_second=MIB))
    with running_worker(installation.worker_config(), log=installation.log) as worker:
        await (await start_backup(client, installation)).result()
        handle = await client.start_workflow(
            VERIFY_WORKFLOW,
            VerifyRequest(repository=installation.repository_token, policy=FAST),
            id=f"verify-{uuid.uuid4()}",
            task_queue=installation.queue,
            start_signal=THROTTLE,
            start_signal_args=[slow],
            result_type=VerifyResult,
        )
        while not any(name == names.VERIFY_SHARD for name in await pending(handle)):
            await asyncio.sleep(0.05)
        worker.kill()
        worker.wait()
    with running_worker(installation.worker_config(), log=installation.log):
        await handle.execute_update(THROTTLE, ThrottleRequest())
        result = await handle.result()
        await replay(client, cast("WorkflowHandle[object, object]", handle))
    assert result.finished is not None
    assert result.finished.verdict.ok
    assert result.finished.verdict.packs == result.packs_of_repository
    assert installation.workspace_files() == []


async def pending(handle: "WorkflowHandle[object, VerifyResult]") -> list[str]:
    """The activities that are under way."""
    description = await handle.describe()
    return [activity.activity_type.name for activity in description.raw_description.pending_activities]
