"""The watchdog on a real server: overdue sources and missed schedules, told once."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleIntervalSpec,
    ScheduleSpec,
    ScheduleState,
)
from temporalio.service import RPCError
from temporalio.worker import Worker

from holdfast.activities.notify import NotifyActivities
from holdfast.activities.recorder import Recorder
from holdfast.activities.services import Services
from holdfast.contracts.common import BACKUP_WORKFLOW
from holdfast.contracts.notify import WATCHDOG_WORKFLOW, WatchdogRequest, WatchInput, WatchState
from holdfast.contracts.veiled import REPOSITORY
from holdfast.contracts.waiting import WaitsFor
from holdfast.control.schedules.upkeep import ensure_upkeep, watchdog_id
from holdfast.service.journal.journal import Journal
from holdfast.service.journal.records import RunRecord
from holdfast.service.settings.load import load_settings
from holdfast.service.settings.model import NoticeSettings
from holdfast.service.settings.passwords import PasswordBook
from holdfast.service.waits import Wait
from holdfast.terms import RunKind, RunStatus
from holdfast.workflows.catalogue import WORKFLOWS, workflow_runner
from tests.support.receiver import Receiver, receiving

# apprise loads all its plugins, and one of them a module that Python 3.13 has no more
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
FULL = Wait(
    what=WaitsFor.FULL_DISK, detail=f"no space left on {REPOSITORY}", next_step="Make room.", attempts=4
)
NEVER = ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(days=365))])


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def services(tmp_path: Path, receiver: Receiver) -> Services:
    """Two sources that may be an hour old: one whose only good backup began in 2001, one without any."""
    file = tmp_path / "holdfast.toml"
    sources = "".join(
        f'[sources.{name}]\nrepository = "home"\npaths = ["{tmp_path}"]\nmax_age = "1h"\n'
        for name in ("documents", "new")
    )
    file.write_text(
        f'state_dir = "{tmp_path}"\nhost = "mars"\nrepositories.home.location = "{tmp_path}/repository"\n'
        f'notices.urls = ["{receiver.notice_url}"]\n{sources}'
    )
    settings = load_settings(file, {})
    journal = Journal.at(settings.journal_path)
    journal.record(
        RunRecord(
            run_id="r/1",
            kind=RunKind.BACKUP,
            status=RunStatus.COMPLETE,
            repository="home",
            source="documents",
            host="mars",
            started_ns=10**18,
            ended_ns=10**18 + 1,
        )
    )
    return Services(
        settings=settings, passwords=PasswordBook(), journal=Recorder(journal), username="me", environ={}
    )


@asynccontextmanager
async def scheduled(client: Client, queue: str) -> AsyncIterator[str]:
    """A schedule of backups on that queue, which starts none."""
    action = ScheduleActionStartWorkflow(BACKUP_WORKFLOW, id=f"backup-{queue}", task_queue=queue)
    name = f"holdfast.{uuid.uuid4()}"
    handle = await client.create_schedule(
        name, Schedule(action=action, spec=NEVER, state=ScheduleState(paused=True))
    )
    try:
        while name not in [listed.id async for listed in await client.list_schedules()]:
            await asyncio.sleep(0.05)
        yield name
    finally:
        await handle.delete()


async def test_the_schedule_is_kept_as_the_settings_want_it(services: Services, server_address: str) -> None:
    client = await Client.connect(server_address)
    settings = services.settings
    handle = client.get_schedule_handle(watchdog_id("mars"))
    for queue in ("mars", "mars", "venus"):
        await ensure_upkeep(client, settings, queue)
        await handle.pause()
    action = (await handle.describe()).schedule.action
    assert isinstance(action, ScheduleActionStartWorkflow)
    assert (action.workflow, action.task_queue) == (WATCHDOG_WORKFLOW, "venus")
    await ensure_upkeep(client, settings, "venus")
    assert (await handle.describe()).schedule.state.paused
    unwatched = replace(settings, notices=NoticeSettings())
    for _ in range(2):
        await ensure_upkeep(client, unwatched, "venus")
    with pytest.raises(RPCError):
        await handle.describe()


async def test_a_look_tells_of_what_is_overdue_and_counts_the_schedules_of_its_queue(
    services: Services, receiver: Receiver, server_address: str
) -> None:
    client = await Client.connect(server_address)
    with ThreadPoolExecutor(2) as executor:
        worker = Worker(
            client,
            task_queue="mars",
            workflows=WORKFLOWS,
            activities=NotifyActivities(services, executor).light(),
            workflow_runner=workflow_runner(),
        )
        async with worker, scheduled(client, "mars") as ours, scheduled(client, "venus"):
            state = await client.execute_workflow(
                WATCHDOG_WORKFLOW, WatchdogRequest(), id="watchdog", task_queue="mars", result_type=WatchState
            )
    assert state.missed == {ours: 0}
    assert list(state.told) == ["documents"]
    assert list(state.seen) == ["documents", "new"]
    assert [notice["title"] for notice in receiver.notices] == ["Holdfast: documents is overdue"]


def test_more_missed_runs_than_before_are_told(services: Services, receiver: Receiver) -> None:
    before = WatchState(missed={"nightly": 1, "weekly": 4}, told={"documents": 2 * 10**18})
    with ThreadPoolExecutor(1) as executor:
        activities = NotifyActivities(services, executor)
        message = WatchInput(state=before, now_ns=2 * 10**18)
        after = activities._watch(message, {"nightly": 3, "weekly": 4, "unknown": 9}, {})
    assert after.missed == {"nightly": 3, "weekly": 4, "unknown": 9}
    (notice,) = receiver.notices
    assert notice["title"] == "Holdfast: schedule nightly missed a run"
    assert "2 times" in str(notice["message"])


def test_a_run_that_waits_for_long_is_told_once(services: Services, receiver: Receiver) -> None:
    half_an_hour_ns, name = 1800 * 10**9, "backup:mars:home:documents"
    state = WatchState(told={"documents": 2 * 10**18}, waiting={"gone": 1}, waiting_told=("gone",))
    with ThreadPoolExecutor(1) as executor:
        activities = NotifyActivities(services, executor)
        for number, waiting in enumerate(({name: FULL}, {name: FULL}, None, {name: FULL}, {name: FULL})):
            message = WatchInput(state=state, now_ns=2 * 10**18 + number * half_an_hour_ns // 2)
            state = activities._watch(message, {}, waiting)
            assert (state.waiting, state.waiting_told == (name,)) == ({name: 2 * 10**18}, number > 2)
        activities._watch(WatchInput(state=state, now_ns=2 * 10**18 + 5 * half_an_hour_ns), {}, {})
    (notice,) = [notice for notice in receiver.notices if "overdue" not in str(notice["title"])]
    assert notice["title"] == "Holdfast: backup of documents waits: full disk"
    assert "Why: full disk: no space left on the repository (tried 4 times)" in str(notice["message"])
    assert "Next: Make room." in str(notice["message"])
