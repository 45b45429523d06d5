"""A drill restores a sample, compares and checks it, keeps the record, and leaves nothing behind."""

import os
import uuid
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import cast

import pytest
from temporalio.client import Client, WorkflowHandle

from holdfast.contracts.backup import BackupRequest, BackupResult
from holdfast.contracts.common import BACKUP_WORKFLOW
from holdfast.contracts.drill import DrillRequest, DrillResult
from holdfast.contracts.identity import task_queue
from holdfast.contracts.verbs import DRILL_WORKFLOW
from holdfast.contracts.worker import WorkerConfig
from holdfast.file_list import FileAction
from holdfast.service.journal.journal import Journal
from holdfast.terms import RunKind, RunStatus, Strategy
from tests.support.comparison import CANARY, MIB
from tests.support.runs import BackupHandle, everything_stored_about
from tests.support.service import FAST, PASSWORD, Installation, running_worker
from tests.unit.workflows.running import replay


class Site:
    """An installation whose repository, source and drill stand in the settings."""

    def __init__(self, installation: Installation, client: Client) -> None:
        self.installation = installation
        self.client = client
        self.queue = task_queue(installation.host, "main")
        (installation.folder / "password").write_bytes(PASSWORD)
        self.write_settings("")

    def write_settings(self, drill: str) -> None:
        at = self.installation
        at.settings.write_text(
            f'host = "{at.host}"\n[server]\naddress = "{at.address}"\n'
            f'[worker]\ngraceful_shutdown = "1s"\nheartbeat_throttle = "1s"\n'
            f'[repositories.main]\nlocation = "{at.repository}"\npassword_file = "{at.folder}/password"\n'
            f'[sources.home]\nrepository = "main"\npaths = ["{at.source}"]\n'
            f'[drills.nightly]\nsource = "home"\n{drill}'
        )

    def worker_config(self) -> WorkerConfig:
        return replace(self.installation.worker_config(), queues=(self.queue,), passwords={})

    async def backup(self, strategy: Strategy = Strategy.AUTO) -> BackupResult:
        result: BackupResult = await self.client.execute_workflow(
            BACKUP_WORKFLOW,
            BackupRequest(repository="main", source="home", strategy=strategy, policy=FAST),
            id=f"backup-{uuid.uuid4()}",
            task_queue=self.queue,
            result_type=BackupResult,
        )
        return result

    async def drill(self) -> tuple[DrillResult, "WorkflowHandle[object, DrillResult]"]:
        handle = await self.client.start_workflow(
            DRILL_WORKFLOW,
            DrillRequest(repository="main", drill="nightly", policy=FAST),
            id=f"drill-{uuid.uuid4()}",
            task_queue=self.queue,
            result_type=DrillResult,
        )
        return await handle.result(), handle

    @property
    def journal(self) -> Journal:
        return Journal.at(self.installation.state_dir / "journal.db")

    def seen(self) -> dict[str, str]:
        """What the check has written down."""
        return {name: (self.installation.folder / name).read_text() for name in ("files", "environment")}

    def leftovers(self) -> list[Path]:
        return list((self.installation.state_dir / "scratch").iterdir())


@pytest.fixture
def site(installation: Installation, client: Client) -> Site:
    return Site(installation, client)


async def test_a_drill_proves_a_sample_against_its_goals(site: Site) -> None:
    source = site.installation.source
    for number in range(40):
        (source / f"canary-{number}").write_bytes(Random(number).randbytes(5_000))
    folder = site.installation.folder
    check = f"sh -c 'ls -R $HOLDFAST_DRILL_DIR > {folder}/files; env > {folder}/environment'"
    site.write_settings(f'sample = "10%"\ncheck = "{check}"\nrto = "10m"\nrpo = "1d"\n')
    with running_worker(site.worker_config(), log=site.installation.log):
        backup = await site.backup()
        drilled, handle = await site.drill()
        stored = await everything_stored_about(cast("BackupHandle", handle))
        await replay(site.client, cast("WorkflowHandle[object, object]", handle))

    assert (drilled.status, drilled.opened.snapshot_id) == (RunStatus.COMPLETE, backup.snapshot_id)
    assert drilled.findings.proven
    assert (drilled.findings.rto_met, drilled.findings.rpo_met) == (None, True)  # too small to scale
    assert drilled.opened.files_of_all == 40
    assert 1 <= drilled.opened.sample_files < 20
    seen = site.seen()
    assert seen["files"].count("canary-") >= drilled.opened.sample_files
    assert "HOLDFAST_DRILL_SNAPSHOT=" + backup.snapshot_id in seen["environment"]
    assert CANARY not in stored.replace(os.fsencode(site.installation.repository), b"")
    assert site.leftovers() == []
    record = site.journal.run(drilled.run_id)
    assert record is not None
    assert (record.kind, record.source, record.strategy) == (RunKind.DRILL, "home", "nightly")
    assert record.counters["proven"] == 1
    assert drilled.opened.seed in record.reason


async def test_a_drill_finds_a_flipped_bit_and_a_full_backup_mends_it(site: Site) -> None:
    source = site.installation.source
    (source / "canary-large").write_bytes(Random(3).randbytes(MIB))
    (source / "canary-small").write_bytes(b"sound")
    site.write_settings('sample = "all"\ncheck = "true"\nrto = "10m"\n')
    with running_worker(site.worker_config(), log=site.installation.log):
        await site.backup()
        packs = [path for path in (site.installation.repository / "data").rglob("*") if path.is_file()]
        pack = max(packs, key=lambda path: path.stat().st_size)
        pack.chmod(0o600)
        data = bytearray(pack.read_bytes())
        data[len(data) // 2] ^= 1
        pack.write_bytes(data)
        damaged, _ = await site.drill()
        await site.backup(Strategy.FULL)
        mended, _ = await site.drill()

    assert not damaged.findings.proven
    assert damaged.checked is None
    assert damaged.verified is not None
    assert damaged.verified.damaged_packs == 1
    (lost,) = site.journal.files(damaged.run_id, [FileAction.FAILED, FileAction.DAMAGED])
    assert lost.path.endswith(b"/canary-large")
    assert (mended.findings.ok, mended.findings.rto_met) == (True, True)
    assert mended.checked is not None
    assert site.leftovers() == []


async def test_a_check_that_fails_is_told_with_what_it_printed(site: Site) -> None:
    (site.installation.source / "canary").write_bytes(b"content")
    site.write_settings('sample = "1MiB"\ncheck = "sh -c \'echo the dump does not load; exit 7\'"\n')
    with running_worker(site.worker_config(), log=site.installation.log):
        await site.backup()
        drilled, handle = await site.drill()
        stored = await everything_stored_about(cast("BackupHandle", handle))
    assert (drilled.findings.proven, drilled.findings.ok) == (False, False)
    assert drilled.checked is not None
    assert drilled.checked.exit_code == 7
    assert b"does not load" not in stored
    record = site.journal.run(drilled.run_id)
    assert record is not None
    assert record.verdict is not None
    assert record.verdict.problems == ("the check ended with exit code 7: the dump does not load",)
