"""The journal's list of a backup's files: of runs that have a snapshot, whenever it is written."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from holdfast.activities.backup import BackupActivities
from holdfast.activities.recorder import Recorder
from holdfast.activities.services import Services
from holdfast.contracts.backup import BackupOpened, BackupProgress, BackupRequest, Committed, LogInput
from holdfast.contracts.common import Ending, RunRef
from holdfast.contracts.runs import PlanInput
from holdfast.runs.workspace import Workspace
from holdfast.service.journal.journal import Journal
from holdfast.service.settings.load import load_settings
from holdfast.service.settings.passwords import PasswordBook
from holdfast.terms import RunStatus, Strategy
from tests.support.engine import PASSWORD, EngineRun, new_session, open_session

RUN = RunRef(run_id="run", repository="vault", source="home")
OPENED = BackupOpened(strategy=Strategy.FULL, reason="the first one")


@pytest.fixture
def services(tmp_path: Path) -> Services:
    (tmp_path / "holdfast.toml").write_text(
        f'state_dir = "{tmp_path}/state"\n[repositories.vault]\nlocation = "{tmp_path}/vault"\n'
    )
    settings = load_settings(tmp_path / "holdfast.toml", {})
    return Services(
        settings=settings,
        passwords=PasswordBook(given={f"{tmp_path}/vault": PASSWORD}, environ={}),
        journal=Recorder(Journal.at(settings.journal_path)),
        username="somebody",
        environ={},
    )


@pytest.fixture
def shards(tmp_path: Path) -> int:
    """A run of three files that is stored and not committed: how many shards it has."""
    source = tmp_path / "source"
    source.mkdir()
    for name in (b"a", b"b\xff", b"c"):
        (source / os.fsdecode(name)).write_bytes(name)
    with new_session(tmp_path / "vault") as session:
        run = EngineRun.of(session, source)
        run.open()
        planned = sum(page.shards for page in run.select())
        for shard in range(planned):
            run.store(shard)
    return planned


@pytest.fixture
def committed(tmp_path: Path, shards: int) -> Committed:
    """The run's snapshot."""
    with open_session(tmp_path / "vault") as session:
        run = EngineRun.of(session, tmp_path / "source")
        result = run.commit(run.select()).result
    assert shards
    assert result is not None
    return Committed(snapshot_id=result.snapshot.hex())


def listed(services: Services) -> list[bytes]:
    return [
        Path(os.fsdecode(file.path)).name.encode("utf-8", "surrogateescape")
        for file in services.journal.journal.files("run")
    ]


async def list_files(services: Services, shards: int) -> None:
    activities = BackupActivities(services, ThreadPoolExecutor(1))
    await ActivityEnvironment().run(activities.list_files, PlanInput(run=RUN, pages=1, shards=shards))


async def log(
    services: Services,
    shards: int,
    committed: Committed | None,
    status: RunStatus = RunStatus.COMPLETE,
) -> None:
    message = LogInput(
        run=RUN,
        request=BackupRequest(repository="vault", source="home"),
        progress=BackupProgress(
            run_id="run", started_ns=1, opened=OPENED, pages_done=1, shards_planned=shards
        ),
        ending=Ending(status=status, ended_ns=2),
        committed=committed,
    )
    await ActivityEnvironment().run(BackupActivities(services, ThreadPoolExecutor(1)).log, message)


async def test_the_list_stays_with_a_snapshot_and_goes_without_one(
    services: Services, shards: int, committed: Committed
) -> None:
    await list_files(services, shards)
    assert listed(services) == [b"a", b"b\xff", b"c"]
    await log(services, shards, committed)
    assert listed(services) == [b"a", b"b\xff", b"c"]
    await log(services, shards, None, status=RunStatus.FAILED)
    assert listed(services) == []


async def test_a_run_that_ended_before_its_list_was_whole_has_it_from_its_log(
    services: Services, shards: int
) -> None:
    await log(services, shards, Committed(snapshot_id="5" * 64), status=RunStatus.CANCELLED)
    assert listed(services) == [b"a", b"b\xff", b"c"]


async def test_a_shard_without_a_result_is_left_to_the_commit(services: Services, shards: int) -> None:
    session = services.session("vault")
    for document in list(Workspace(session.repository, "run").list()):
        if document.endswith("/result"):
            Workspace(session.repository, "run").remove(document)
    await list_files(services, shards)


@pytest.mark.parametrize("whose", ["nobody's", "another run's"])
async def test_no_snapshot_is_recorded_that_is_not_the_runs(
    services: Services, shards: int, tmp_path: Path, whose: str
) -> None:
    snapshot = "5" * 64
    if whose == "another run's":
        with open_session(tmp_path / "vault") as session:
            run = EngineRun.of(session, tmp_path / "source", run_id="another")
            snapshot = (await asyncio.to_thread(run.run)).snapshot.hex()
    with pytest.raises(ApplicationError):
        await log(services, shards, Committed(snapshot_id=snapshot))
    assert services.journal.run("run") is None
