"""`holdfast cleanup` and the daily cleanup of a service: what goes, what stays, what a dry run shows."""

import asyncio
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from temporalio.client import Client, ScheduleActionStartWorkflow
from temporalio.service import RPCError
from temporalio.worker import Worker

from holdfast.activities.cleanup import CleanupActivities
from holdfast.activities.recorder import Recorder
from holdfast.activities.services import Services
from holdfast.contracts.cleanup import CLEANUP_WORKFLOW, CleanupRequest, CleanupResult
from holdfast.contracts.common import BACKUP_WORKFLOW
from holdfast.control.schedules.upkeep import cleanup_id, ensure_upkeep
from holdfast.repository.layout import RUNS
from holdfast.service.journal.journal import Journal
from holdfast.service.settings.load import load_settings
from holdfast.service.settings.passwords import PasswordBook
from holdfast.workflows.catalogue import WORKFLOWS, workflow_runner
from tests.support import fork_server
from tests.support.engine import PASSWORD, EngineRun, new_session, open_session

PROJECT = Path(__file__).parent.parent.parent
OLD_S = 40 * 86_400.0


class Site:
    """Settings with one repository, in which an old run, an old temporary file and an old drill have left something."""

    def __init__(self, folder: Path, run_id: str) -> None:
        self.folder = folder
        self.repository = folder / "repository"
        (folder / "source").mkdir()
        (folder / "source" / "file").write_bytes(b"content")
        (folder / "password").write_bytes(PASSWORD)
        self.settings_file.write_text(
            f'host = "h"\nstate_dir = "{folder}/state"\n[worker]\nprocesses = 1\ngraceful_shutdown = "1s"\n'
            f'[repositories.main]\nlocation = "{self.repository}"\npassword_file = "{folder}/password"\n'
        )
        with new_session(self.repository) as session:
            EngineRun.of(session, folder / "source", run_id="done").run()
            run = EngineRun.of(session, folder / "source", run_id=run_id)
            run.open()
            run.select()
        self.crashed = next((self.repository / "data").iterdir()) / ".holdfast-tmp-0123456789abcdef"
        self.crashed.write_bytes(b"half a pack")
        self.drill = folder / "state" / "scratch" / "drill-0123456789abcdef"
        (self.drill / "tree").mkdir(parents=True)
        (self.drill / "tree" / "restored").write_bytes(b"restored")
        for path in [*self.documents(), self.crashed, self.drill]:
            os.utime(path, (time.time() - OLD_S, time.time() - OLD_S))

    @property
    def settings_file(self) -> Path:
        return self.folder / "holdfast.toml"

    def documents(self) -> list[Path]:
        return [path for path in (self.repository / RUNS).rglob("*") if path.is_file()]

    def run(self, *arguments: str, code: int = 0) -> str:
        environ = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.folder),
            "PYTHONPATH": str(PROJECT),
            "HOLDFAST_CONFIG": str(self.settings_file),
        }
        command = [sys.executable, "-m", "holdfast.starter", *arguments]
        done = fork_server.run(command, capture_output=True, text=True, env=environ)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def left(self) -> tuple[bool, bool, bool]:
        """Whether these stand: the workspace, the temporary file, what the drill restored."""
        return bool(self.documents()), self.crashed.exists(), self.drill.exists()


def test_a_dry_run_shows_what_goes_and_the_command_removes_it(tmp_path: Path) -> None:
    site = Site(tmp_path, "backup:h:main:letters/0123")
    shown = site.run("cleanup", "--dry-run")
    assert "main: would remove 1 abandoned run " in shown
    assert "backup:h:main:letters/0123" in shown
    assert "1 temporary file of crashes" in shown
    assert "would remove 1 folder of killed drills" in shown
    assert site.left() == (True, True, True)

    told = json.loads(site.run("cleanup", "--repo", "main", "--json"))
    assert told["dry_run"] is False
    assert told["scratch_folders"] == 1
    (repository,) = told["repositories"]
    assert (repository["repository"], repository["run_count"], repository["temporary_files"]) == (
        "main",
        1,
        1,
    )
    assert site.left() == (False, False, False)
    assert "main: removed 0 abandoned runs" in site.run("cleanup")
    with open_session(site.repository) as session, session.hold() as held:
        assert len([*held.index.packs()]) > 0


def test_a_repository_that_is_in_use_keeps_its_workspaces(tmp_path: Path) -> None:
    site = Site(tmp_path, "backup:h:main:letters/0123")
    with open_session(site.repository) as session, session.hold():
        site.run("cleanup", code=11)
    assert site.left() == (True, False, False)


def test_one_repository_that_cannot_be_cleaned_keeps_no_other_from_it(tmp_path: Path) -> None:
    site = Site(tmp_path, "backup:h:main:letters/0123")
    (tmp_path / "elsewhere").write_text("wrong")
    with new_session(tmp_path / "second"):
        pass
    site.settings_file.write_text(
        site.settings_file.read_text()
        + f'[repositories.before]\nlocation = "{tmp_path}/second"\npassword_file = "{tmp_path}/elsewhere"\n'
    )
    site.run("cleanup", code=1)
    assert site.left() == (False, False, False)


async def test_what_belongs_to_an_open_run_stays_however_old(tmp_path: Path, server_address: str) -> None:
    client = await Client.connect(server_address)
    # Nobody polls this queue, so the run is open and does nothing, like one that is paused for months.
    handle = await client.start_workflow(
        BACKUP_WORKFLOW, id="backup:h:main:letters", task_queue="nobody", result_type=dict
    )
    run_id = f"backup:h:main:letters/{handle.first_execution_run_id}"
    site = await asyncio.to_thread(Site, tmp_path, run_id)
    settings = load_settings(site.settings_file, {})
    services = Services(
        settings=settings,
        passwords=PasswordBook(),
        journal=Recorder(Journal.at(settings.journal_path)),
        username="me",
        environ={},
    )

    async def clean(number: int, *, dry_run: bool = False) -> int:
        result: CleanupResult = await client.execute_workflow(
            CLEANUP_WORKFLOW,
            CleanupRequest(repositories=("main",), dry_run=dry_run),
            id=f"cleanup-{number}",
            task_queue="h",
            result_type=CleanupResult,
        )
        assert not result.repositories[0].failure
        return result.repositories[0].run_count

    with ThreadPoolExecutor(2) as executor:
        worker = Worker(
            client,
            task_queue="h",
            workflows=WORKFLOWS,
            activities=CleanupActivities(services, executor).light(),
            workflow_runner=workflow_runner(),
        )
        async with worker:
            assert await clean(0, dry_run=True) == 0
            assert await clean(1) == 0
            assert site.documents()
            await handle.terminate()
            for path in site.documents():
                os.utime(path, (time.time() - OLD_S, time.time() - OLD_S))
            assert await clean(2) == 1
            assert site.documents() == []
    services.close()


async def test_the_service_keeps_a_daily_schedule_as_the_settings_want_it(
    tmp_path: Path, server_address: str
) -> None:
    client = await Client.connect(server_address)
    site = await asyncio.to_thread(Site, tmp_path, "run")
    settings = load_settings(site.settings_file, {})
    handle = client.get_schedule_handle(cleanup_id("h"))
    for queue in ("mars", "venus"):
        await ensure_upkeep(client, settings, queue)
    action = (await handle.describe()).schedule.action
    assert isinstance(action, ScheduleActionStartWorkflow)
    assert (action.workflow, action.task_queue) == (CLEANUP_WORKFLOW, "venus")
    site.settings_file.write_text(f'host = "h"\nstate_dir = "{tmp_path}/state"\n')
    await ensure_upkeep(client, load_settings(site.settings_file, {}), "venus")
    with pytest.raises(RPCError):
        await handle.describe()
