"""A prune as a run of the service: beside a backup, beside stock restic, asked about, killed in each part."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle

from holdfast.activities.waits import wait_of
from holdfast.contracts import names
from holdfast.contracts.backup import BackupRequest, BackupResult
from holdfast.contracts.common import BACKUP_WORKFLOW, PROGRESS_QUERY, Progress
from holdfast.contracts.control import THROTTLE, Throttle, ThrottleRequest
from holdfast.contracts.prune import PruneRequest, PruneResult
from holdfast.contracts.verbs import PRUNE_WORKFLOW
from holdfast.ids import to_hex
from holdfast.terms import RunStatus, VerifyLevel
from holdfast.workflows.registration import ensure_search_attributes
from tests.support.comparison import MIB, restic, same
from tests.support.engine import EngineRun, make_repository, open_session
from tests.support.hosts import PASSWORD, Host, Hosts
from tests.support.runs import stored_bytes
from tests.support.service import FAST

LARGE_BYTES: Final = 64 * MIB
OLD_BYTES: Final = 24 * MIB
FILES: Final = 12
GONE_BYTES: Final = OLD_BYTES // 3
COMES_BACK: Final = os.urandom(200_000)
"""A file that goes, too: one blob, and more than a pipe takes."""
PruneHandle = WorkflowHandle[object, PruneResult]


@pytest.fixture
async def hosts(tmp_path: Path, server_address: str, client: Client, thinned: Path) -> Hosts:
    await ensure_search_attributes(client)
    hosts = Hosts(folder=tmp_path, address=server_address)
    shutil.rmtree(hosts.folder / "repository")
    shutil.copytree(thinned, hosts.folder / "repository")
    docs = hosts.one.folder / "docs"
    docs.mkdir()
    hosts.one.settings = f'[sources.docs]\nrepository = "home"\npaths = ["{docs}"]\n'
    hosts.one.write()
    return hosts


@pytest.fixture
def repository(hosts: Hosts) -> Path:
    return hosts.folder / "repository"


def fill(folder: Path, *, files: int, each_bytes: int) -> None:
    for number in range(files):
        (folder / f"file-{number}").write_bytes(os.urandom(each_bytes))


@pytest.fixture(scope="module")
def thinned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of which a third, GONE_BYTES, is needed no longer, spread over its packs; and COMES_BACK."""
    folder = tmp_path_factory.mktemp("thinned")
    repository, mail = folder / "repository", folder / "mail"
    mail.mkdir()
    fill(mail, files=FILES, each_bytes=OLD_BYTES // FILES)
    (mail / "comes-back").write_bytes(COMES_BACK)
    make_repository(repository, PASSWORD)
    with open_session(repository, PASSWORD) as session:
        first = EngineRun.of(session, mail, run_id="1").run()
        for number in range(0, FILES, 3):
            (mail / f"file-{number}").write_bytes(b"small")
        (mail / "comes-back").unlink()
        EngineRun.of(session, mail, run_id="2").run()
    restic(repository, PASSWORD, "forget", to_hex(first.snapshot))
    return repository


def assert_sound(repository: Path) -> None:
    assert "no errors were found" in restic(repository, PASSWORD, "check", "--read-data")


def stored(repository: Path) -> int:
    return sum(path.stat().st_size for path in (repository / "data").rglob("*") if path.is_file())


async def start_prune(client: Client, host: Host) -> PruneHandle:
    return await client.start_workflow(
        PRUNE_WORKFLOW,
        PruneRequest(repository="home", policy=FAST, max_unused="0"),
        id=f"prune:{host.name}:home:all",
        task_queue=host.queue,
        result_type=PruneResult,
    )


async def test_a_command_prunes_what_is_not_needed(hosts: Hosts, repository: Path) -> None:
    host, asked = hosts.one, ("prune", "--max-unused", "0", "--repo", "home")
    with host.serving():
        before = stored(repository)
        planned = await asyncio.to_thread(host.answer, *asked, "--dry-run")
        assert stored(repository) == before
        assert planned["plan"]["bytes_freed"] > 0.9 * GONE_BYTES
        done = await asyncio.to_thread(host.answer, *asked)
        again = await asyncio.to_thread(host.answer, *asked)
        recorded = await asyncio.to_thread(host.answer, "run", "show", done["run_id"])
    assert (done["status"], done["deleted_packs"] > 0) == ("complete", True)
    assert before - stored(repository) > 0.9 * GONE_BYTES
    assert again["plan"]["drop_packs"] == again["plan"]["repack_packs"] == 0
    assert recorded["kind"] == "prune"
    assert_sound(repository)


async def test_a_backup_of_another_host_stands_aside_and_goes_on(
    client: Client, hosts: Hosts, repository: Path
) -> None:
    host = hosts.one
    with host.serving(), hosts.two.serving():
        fill(host.folder / "docs", files=2, each_bytes=LARGE_BYTES // 2)
        before = stored(repository)
        backup = await start_backup(client, host)
        await throttle(backup, Throttle(bytes_per_second=4 * MIB))
        await stored_bytes(repository, before + LARGE_BYTES // 4)
        await throttle(
            backup, Throttle(bytes_per_second=MIB // 2)
        )  # it must not end before the prune, however slow
        prune = await start_prune(client, hosts.two)
        waited_for = await waits_for(backup)
        pruned = await prune.result()
        assert await is_open(backup)
        await throttle(backup, Throttle())
        result = await backup.result()
        back = hosts.folder / "back"
        wanted = f"{result.snapshot_id}:{host.folder}/docs"
        await asyncio.to_thread(host.holdfast, "restore", wanted, "--target", str(back), "--repo", "home")
    assert waited_for == "a prune's short part"
    assert pruned.switched is not None
    assert pruned.switched.runs == 1
    assert (pruned.status, result.status) == (RunStatus.COMPLETE, RunStatus.COMPLETE)
    assert same(host.folder / "docs", back)
    assert_sound(repository)
    print(f"the short part: {pruned.switched}")  # noqa: T201 - for `pytest -rP`


async def test_a_foreign_lock_is_waited_for_and_named(client: Client, hosts: Hosts, repository: Path) -> None:
    host = hosts.one
    with host.serving():
        with restic_backup_that_waits(repository, hosts.folder) as stock:
            prune = await start_prune(client, host)
            waited_for = await waits_for(prune)
            shown = await asyncio.to_thread(host.answer, "status", prune.id)
            told = await wait_of(client, prune.id, PRUNE_WORKFLOW)
        pruned = await prune.result()
    assert f"process {stock.pid}" in waited_for
    assert told is not None
    assert told.words == f"lock: {waited_for}", "the watchdog tells of it"
    assert shown["waits_for"] == told.document
    assert pruned.status is RunStatus.COMPLETE
    assert pruned.totals.deleted_packs > 0
    assert_sound(repository)


async def test_packs_are_marked_where_no_moment_comes(client: Client, hosts: Hosts, repository: Path) -> None:
    """With waits of seconds. A stock client that has read the index before stores what only marked packs hold."""
    host = hosts.one
    host.settings += '[prune]\nwait = "1s"\nkeep_marked = "1s"\n'
    host.write()
    with host.serving():
        with restic_backup_that_waits(repository, hosts.folder, COMES_BACK):
            prune = await start_prune(client, host)
            while not (waited_for := await waits_for(prune)).startswith("those who may rely"):
                await asyncio.sleep(0.1)
        pruned = await prune.result()
    assert "those who may rely on marked packs" in waited_for
    assert pruned.status is RunStatus.COMPLETE
    assert pruned.switched is not None
    assert (pruned.switched.taken_back, pruned.totals.deleted_packs) > (0, 0)
    assert_sound(repository)


async def test_a_large_prune_asks_first(client: Client, hosts: Hosts, repository: Path) -> None:
    host = hosts.one
    host.settings += "[prune]\napprove_over = 0.1\n"
    host.write()
    answer = ("--prune", "--by", "anna", "--reason", "I know")
    with host.serving():
        before = stored(repository)
        refused = await start_prune(client, host)
        assert (await waits_for(refused)).startswith("3")
        await asyncio.to_thread(host.holdfast, "approve", "home", *answer, "--refuse")
        against = await refused.result()
        assert stored(repository) == before
        approved = await start_prune(client, host)
        await waits_for(approved)
        plan = await asyncio.to_thread(host.holdfast, "approve", "home", *answer)
        done = await approved.result()
        record = await asyncio.to_thread(host.answer, "run", "show", done.run_id)
    assert (against.status, against.refused) == (RunStatus.PARTIAL, "anna decided against it: I know")
    assert "would repack" in plan
    assert done.status is RunStatus.COMPLETE
    assert record["reason"] == "approved by anna: I know"
    assert_sound(repository)


@pytest.mark.parametrize(
    "step",
    [
        names.REPACK_PRUNE,
        names.SWITCH_PRUNE,
        *(
            pytest.param(step, marks=pytest.mark.faults)
            for step in (names.MARK_PRUNE, names.PLAN_PRUNE, names.DELETE_PRUNE)
        ),
    ],
)
async def test_a_prune_whose_workers_are_killed_goes_on(
    client: Client, hosts: Hosts, repository: Path, step: str
) -> None:
    host = hosts.one
    before = stored(repository)
    with host.serving() as workers:
        prune = await start_prune(client, host)
        await until_begun(prune, step)
        host.kill(workers)
    with host.serving():
        result = await prune.result()
    assert result.status is RunStatus.COMPLETE
    assert before - stored(repository) > 0.9 * GONE_BYTES
    assert_sound(repository)
    assert not list((repository / "holdfast" / "runs").rglob("?*"))


async def until_begun(prune: PruneHandle, step: str) -> None:
    """Wait until an activity is under way, or was."""
    while True:
        description = await prune.describe()
        if any(one.activity_type.name == step for one in description.raw_description.pending_activities):
            return
        history = await prune.fetch_history()
        if any(
            step in str(event.activity_task_scheduled_event_attributes.activity_type)
            for event in history.events
        ):
            return
        await asyncio.sleep(0.01)


async def start_backup(client: Client, host: Host) -> WorkflowHandle[object, BackupResult]:
    return await client.start_workflow(
        BACKUP_WORKFLOW,
        BackupRequest(repository="home", source="docs", verify=VerifyLevel.FULL, policy=FAST),
        id=f"backup:{host.name}:home:docs",
        task_queue=host.queue,
        result_type=BackupResult,
    )


async def throttle(handle: WorkflowHandle[object, BackupResult], throttle: Throttle) -> None:
    await handle.signal(THROTTLE, ThrottleRequest(throttle=throttle))


async def progress_of(handle: WorkflowHandle[object, object]) -> Progress:
    progress: Progress = await handle.query(PROGRESS_QUERY, result_type=Progress)
    return progress


async def is_open(handle: WorkflowHandle[object, object]) -> bool:
    return (await handle.describe()).status is WorkflowExecutionStatus.RUNNING


async def waits_for(handle: WorkflowHandle[object, object]) -> str:
    """Wait until the run waits by itself; what for."""
    while True:
        progress = await progress_of(handle)
        if progress.waits_for:
            return progress.waits_for
        assert await is_open(handle)
        await asyncio.sleep(0.05)


@contextlib.contextmanager
def restic_backup_that_waits(
    repository: Path, folder: Path, content: bytes = b"what was waited for"
) -> Iterator["subprocess.Popen[bytes]"]:
    """Stock restic, backing up what comes through a pipe, until the block ends. With more than a pipe takes, it has
    loaded the index by then."""
    process = subprocess.Popen(
        ["restic", "--no-cache", "-r", str(repository), "backup", "--stdin"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={
            "RESTIC_PASSWORD": os.fsdecode(PASSWORD),
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": "/nonexistent",
            "TMPDIR": str(folder),
        },
    )
    try:
        while not any((repository / "locks").iterdir()):
            time.sleep(0.05)
        assert process.stdin is not None
        process.stdin.write(content[:-1])
        process.stdin.flush()
        yield process
    finally:
        process.communicate(content[-1:])
    assert process.returncode == 0
