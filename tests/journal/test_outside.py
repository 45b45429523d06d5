"""Runs that were ended on the server by another: found after two looks, recorded as failed, and told."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from temporalio.client import Client

from holdfast.activities.notify import NotifyActivities
from holdfast.activities.outside import OutsideWatch
from holdfast.activities.recorder import Recorder
from holdfast.activities.services import Services
from holdfast.service.journal.journal import Journal
from holdfast.service.journal.records import RunRecord
from holdfast.service.settings.load import load_settings
from holdfast.service.settings.passwords import PasswordBook
from holdfast.terms import RunKind, RunStatus
from tests.support.receiver import Receiver, receiving

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def services(tmp_path: Path, receiver: Receiver) -> Services:
    (tmp_path / "holdfast.toml").write_text(
        f'state_dir = "{tmp_path}/state"\n[notices]\nurls = ["{receiver.notice_url}"]\n'
    )
    settings = load_settings(tmp_path / "holdfast.toml", {})
    return Services(
        settings=settings,
        passwords=PasswordBook(given={}, environ={}),
        journal=Recorder(Journal.at(settings.journal_path)),
        username="somebody",
        environ={},
    )


async def begun(client: Client, services: Services, *, is_open: bool = True) -> RunRecord:
    """A run that the journal has as running. is_open: the server knows it."""
    name = f"backup:host:main:{uuid.uuid4().hex[:8]}"
    first = "none"
    if is_open:
        handle = await client.start_workflow("Backup", "{}", id=name, task_queue="nobody's")
        first = handle.first_execution_run_id or ""
    record = RunRecord(
        run_id=f"{name}/{first}",
        kind=RunKind.BACKUP,
        status=RunStatus.RUNNING,
        repository="main",
        source=name,
        started_ns=1,
    )
    services.journal.record(record)
    return record


async def test_what_another_has_ended_is_recorded_and_told_once(
    server_address: str, services: Services, receiver: Receiver
) -> None:
    client = await Client.connect(server_address)
    left, terminated, lost = (
        await begun(client, services),
        await begun(client, services),
        await begun(client, services, is_open=False),
    )
    with ThreadPoolExecutor(1) as executor:
        watch = OutsideWatch(client, services, NotifyActivities(services, executor))
        await client.get_workflow_handle(terminated.source).terminate()
        assert await watch.look() == []  # its own end may be about to be written
        ended = await watch.look()
        assert {run.run_id for run in ended} == {terminated.run_id, lost.run_id}
        assert await watch.look() == []
        await client.get_workflow_handle(left.source).terminate()
    records = {run.run_id: run for run in services.journal.journal.runs()}
    assert records[left.run_id].status is RunStatus.RUNNING
    assert records[terminated.run_id].status is RunStatus.FAILED
    assert records[terminated.run_id].failure_kind == "EndedOutsideError"
    assert records[terminated.run_id].failure_message == "ended from outside: terminated on the server"
    assert "deleted" in records[lost.run_id].failure_message
    assert len(receiver.notices) == 2
    assert all("failed" in str(notice["title"]) for notice in receiver.notices)


async def test_an_end_that_is_written_meanwhile_stays(
    server_address: str, services: Services, receiver: Receiver
) -> None:
    client = await Client.connect(server_address)
    record = await begun(client, services, is_open=False)
    with ThreadPoolExecutor(1) as executor:
        watch = OutsideWatch(client, services, NotifyActivities(services, executor))
        await watch.look()
        services.journal.record(
            RunRecord(
                run_id=record.run_id,
                kind=RunKind.BACKUP,
                status=RunStatus.COMPLETE,
                repository="main",
                source=record.source,
                started_ns=1,
                ended_ns=2,
            )
        )
        assert await watch.look() == []
    found = services.journal.run(record.run_id)
    assert found is not None
    assert found.status is RunStatus.COMPLETE
    assert receiver.notices == []
