"""Backup and restore as workflows over the real engine, in worker processes."""

import os
from dataclasses import replace

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from holdfast.file_list import FileAction
from holdfast.service.journal.journal import Journal
from holdfast.terms import RunStatus, Strategy
from tests.support.comparison import CANARY, MIB, plant, restic, same
from tests.support.runs import everything_stored_about, run_restore, start_backup
from tests.support.service import PASSWORD, Installation, running_worker


async def test_a_tree_comes_back_identical(client: Client, installation: Installation) -> None:
    plant(installation.source)
    with running_worker(installation.worker_config(), log=installation.log):
        handle = await start_backup(client, installation)
        result = await handle.result()
        restored = await run_restore(client, installation)
        stored = await everything_stored_about(handle)

    assert (result.status, result.strategy) == (RunStatus.COMPLETE, Strategy.FULL)
    assert (result.totals.files, result.selected.files_new) == (41, 41)
    assert result.verdict is not None
    assert result.verdict.ok
    assert (restored.status, restored.snapshot_id) == (RunStatus.COMPLETE, result.snapshot_id)
    assert restored.verdict is not None
    assert restored.verdict.ok
    assert same(installation.source, installation.target)
    assert CANARY not in stored
    assert installation.workspace_files() == []
    assert "no errors were found" in restic(installation.repository, PASSWORD, "check", "--read-data")


async def test_the_journal_tells_of_the_run(client: Client, installation: Installation) -> None:
    plant(installation.source)
    with running_worker(installation.worker_config(), log=installation.log):
        result = await (await start_backup(client, installation)).result()
        restored = await run_restore(client, installation)
    journal = Journal.at(installation.state_dir / "journal.db")
    backup, restore = journal.run(result.run_id), journal.run(restored.run_id)
    assert backup is not None
    assert (backup.status, backup.snapshot_id) == (RunStatus.COMPLETE, result.snapshot_id)
    assert (backup.started_ns, backup.ended_ns) == (result.started_ns, result.ended_ns)
    assert backup.counters["selected_files_new"] == backup.counters["stored_files"] == 41
    assert backup.verdict is not None
    assert backup.verdict.ok
    assert len(list(journal.files(result.run_id, [FileAction.NEW]))) == 41
    assert restore is not None
    assert restore.counters["files_written"] == 41
    assert len(list(journal.files(restored.run_id, [FileAction.RESTORED]))) >= 41


async def test_the_next_backup_reads_only_what_changed(client: Client, installation: Installation) -> None:
    plant(installation.source)
    with running_worker(installation.worker_config(), log=installation.log):
        first = await (await start_backup(client, installation)).result()
        (installation.source / "canary-large").write_bytes(b"changed")
        second = await (await start_backup(client, installation)).result()
    assert (second.strategy, second.parent) == (Strategy.INCREMENTAL, first.snapshot_id)
    assert (second.selected.files_changed, second.selected.files_unmodified) == (1, 40)
    assert second.stored.bytes_read == len(b"changed")


@pytest.mark.parametrize(
    ("missing", "kind"),
    [
        ("password", "PasswordMissingError"),
        ("right password", "WrongPasswordError"),
        ("repository", "RepositoryNotFoundError"),
        ("source", "SourceMissingError"),
    ],
)
async def test_what_cannot_work_ends_with_its_own_error(
    client: Client, installation: Installation, missing: str, kind: str
) -> None:
    plant(installation.source, files=3, large_bytes=MIB)
    config = installation.worker_config()
    if missing == "password":
        config = replace(config, passwords={})
    elif missing == "right password":
        config = replace(config, passwords={str(installation.repository): b"another"})
    elif missing == "repository":
        installation.repository.rename(installation.folder / "moved")
    else:
        installation.source.rename(installation.folder / "moved")
    with running_worker(config, log=installation.log):
        handle = await start_backup(client, installation)
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
        stored = await everything_stored_about(handle)
    cause = failed.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.type == kind
    assert 1 <= len(cause.message.splitlines()) <= 2
    assert PASSWORD not in stored


async def test_a_repository_made_anew_is_opened_anew(client: Client, installation: Installation) -> None:
    plant(installation.source)
    with running_worker(installation.worker_config(), log=installation.log):
        await (await start_backup(client, installation)).result()
        installation.repository.rename(installation.folder / "first")
        installation.create_repository()
        second = await (await start_backup(client, installation)).result()
    assert (second.status, second.strategy) == (RunStatus.COMPLETE, Strategy.FULL)
    assert "no errors were found" in restic(installation.repository, PASSWORD, "check", "--read-data")


async def test_a_source_of_one_file_and_a_fifo(client: Client, installation: Installation) -> None:
    (installation.source / "canary").write_bytes(b"x")
    os.mkfifo(installation.source / "canary-fifo")
    with running_worker(installation.worker_config(), log=installation.log):
        result = await (await start_backup(client, installation)).result()
        await run_restore(client, installation)
    assert (result.totals.files, result.selected.others) == (1, 1)
    assert same(installation.source, installation.target)
