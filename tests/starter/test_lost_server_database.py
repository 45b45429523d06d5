"""The server's database is lost in one of many ways: the next command says so, and goes on with a new one."""

import asyncio
import contextlib
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError

from holdfast.errors import ServerUnavailableError, StorageDeniedError
from holdfast.service.journal.journal import Journal
from holdfast.service.journal.records import RunRecord
from holdfast.starter.host.ended_runs import end_what_is_over
from holdfast.starter.host.ownership import read_server_note, write_server_note
from holdfast.starter.host.server_database import KEPT_ASIDE, examine, set_aside
from holdfast.starter.host.service import beside
from holdfast.starter.host.temporal_server import EmbeddedServer
from holdfast.terms import RunKind, RunStatus
from tests.support.commands import Home, until

WORKFLOW = "a/workflow"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.create(tmp_path)


@contextlib.asynccontextmanager
async def serving(home: Home) -> AsyncIterator[tuple[EmbeddedServer, Client]]:
    """A server that answers, and is killed at the end."""
    server = EmbeddedServer(home.settings, home.environ)
    try:
        yield server, await server.join()
    finally:
        await server.stop()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state directory of a server that was killed and knew a workflow that nobody executes."""
    home = Home.create(tmp_path_factory.mktemp("template"))

    async def run() -> None:
        async with serving(home) as (_, client):
            await client.start_workflow("Nothing", id=WORKFLOW, task_queue="nobody")

    asyncio.run(run())
    with contextlib.closing(sqlite3.connect(home.settings.server_database_path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    note = read_server_note(home.settings.state_dir)
    assert note is not None
    assert note.served
    needs_no_wal = msgspec.structs.replace(note, served=False)
    write_server_note(home.settings.state_dir, needs_no_wal)
    return home.settings.state_dir


@pytest.fixture
def path(home: Home, template: Path) -> Path:
    """The database that such a server has left; all of it in the file."""
    shutil.copytree(template, home.settings.state_dir)
    return home.settings.server_database_path


async def knows_it(client: Client) -> bool:
    try:
        return (await client.get_workflow_handle(WORKFLOW).describe()).id == WORKFLOW
    except RPCError:
        return False


def aside(path: Path) -> list[str]:
    """What was set aside, without what lies beside it."""
    return [p.name for p in path.parent.glob(f"{path.name}.*") if not p.name.endswith(("-wal", "-shm"))]


@pytest.mark.parametrize("delay_ms", [0, 25, 50, 75, 100])
async def test_a_server_killed_while_it_makes_its_database(home: Home, delay_ms: int) -> None:
    killed = EmbeddedServer(home.settings, home.environ)
    killed.begin()
    path = home.settings.server_database_path
    while not path.exists():
        await asyncio.sleep(0.001)
    await asyncio.sleep(delay_ms / 1000)
    killed.abandon()
    async with serving(home) as (server, client):
        assert server.owned
        assert not await knows_it(client)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def garbage(path: Path) -> None:
    path.write_bytes(os.urandom(path.stat().st_size))


def half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 8192 * 4096)


def a_page(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'executions'").fetchone()
    with path.open("r+b") as file:
        file.seek((found[0] - 1) * 4096)
        file.write(os.urandom(4096))


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("harm", [emptied, garbage, half, a_page, a_folder])
async def test_a_damaged_one_is_set_aside_with_a_word(
    home: Home, path: Path, harm: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    harm(path)
    async with serving(home) as (server, client):
        assert server.has_forgotten
        assert not await knows_it(client)
        assert len(aside(path)) == 1
    assert "could not be used, because" in caplog.text
    assert aside(path)[0] in caplog.text
    async with serving(home) as (server, _):
        assert not server.has_forgotten
    assert len(aside(path)) == 1


async def test_a_large_one_is_set_aside_when_the_server_complains(
    home: Home, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server goes on with it, and lets requests wait."""
    monkeypatch.setattr("holdfast.starter.host.server_database._CHECKED_BYTES", 0)
    monkeypatch.setattr("holdfast.starter.host.temporal_server._LISTEN_EVERY_S", 0.1)
    a_page(path)
    async with serving(home) as (server, _), beside(server.keep()):
        await until(lambda: server.has_forgotten)
        while (again := await server.find()) is None:
            await asyncio.sleep(0.05)
        await again.start_workflow("Nothing", id="another", task_queue="nobody")
    assert len(aside(path)) == 1


async def test_an_older_one_is_used_and_told_of(
    home: Home, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(home):
        pass
    older = path.with_name("older")
    shutil.copy(path, older)
    async with serving(home) as (server, _):
        assert not server.has_forgotten
    for name in ("-wal", "-shm"):
        path.with_name(path.name + name).unlink(missing_ok=True)
    older.replace(path)
    note = read_server_note(home.settings.state_dir)
    async with serving(home) as (server, client):
        assert server.has_forgotten
        assert await knows_it(client)
    again = read_server_note(home.settings.state_dir)
    assert note is not None
    assert again is not None
    assert again.starts == note.starts + 1
    assert "is older than the last one here" in caplog.text


async def test_one_that_has_lost_its_wal(home: Home, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(home) as (server, _):
        assert not server.has_forgotten
    path.with_name("temporal.db-wal").unlink()
    async with serving(home) as (server, client):
        assert server.has_forgotten
        assert await knows_it(client)
    assert "its -wal is gone" in caplog.text


async def test_an_emptied_one_is_told_of_once(
    home: Home, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    note = read_server_note(home.settings.state_dir)
    assert note is not None
    write_server_note(home.settings.state_dir, msgspec.structs.replace(note, served=True))
    emptied(path)
    async with serving(home) as (server, _):
        assert server.has_forgotten
    assert "could not be used, because" in caplog.text
    assert "its -wal is gone" not in caplog.text


async def test_one_that_is_gone(home: Home, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(home):
        pass
    path.unlink()
    async with serving(home) as (server, client):
        assert server.has_forgotten
        assert not await knows_it(client)
    assert "is gone" in caplog.text


async def test_one_that_another_program_has_locked_is_left_alone(
    home: Home, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast.starter.host.server_database._LOCK_PATIENCE_S", 0.2)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ServerUnavailableError, match="locked by another program"):
            async with serving(home):
                pass
    async with serving(home) as (server, client):
        assert not server.has_forgotten
        assert await knows_it(client)


async def test_a_server_that_never_answers_is_given_up(
    home: Home, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever its database, it does not start: that is no reason to set the database aside."""
    async with serving(home):
        pass
    fake = home.folder / "bin"
    fake.mkdir()
    (fake / "temporal").write_text("#!/bin/sh\nexec sleep 60\n")
    (fake / "temporal").chmod(0o755)
    monkeypatch.setattr(
        "holdfast.starter.host.temporal_server.temporal_binary", lambda _: str(fake / "temporal")
    )
    monkeypatch.setattr("holdfast.starter.host.temporal_server._START_LIMIT_S", 0.3)
    with pytest.raises(ServerUnavailableError, match="does not come to answer"):
        async with serving(home):
            pass
    assert aside(path) == []
    monkeypatch.undo()
    async with serving(home) as (server, client):
        assert not server.has_forgotten
        assert await knows_it(client)


async def test_runs_that_the_journal_knows_as_ended_are_over_on_an_older_server(home: Home) -> None:
    journal = Journal.at(home.settings.journal_path)
    async with serving(home) as (_, client):
        for subject, status in (
            ("ended", RunStatus.COMPLETE),
            ("open", RunStatus.RUNNING),
            ("unknown", None),
        ):
            handle = await client.start_workflow("Restore", id=f"restore:h:r:{subject}", task_queue="nobody")
            if status is not None:
                run = RunRecord(
                    run_id=f"{handle.id}/{handle.first_execution_run_id}",
                    kind=RunKind.RESTORE,
                    status=status,
                    repository="r",
                    source=subject,
                    started_ns=1,
                    ended_ns=int(status is RunStatus.COMPLETE),
                )
                journal.record(run)
        await end_what_is_over(client, home.settings)
        found = {
            subject: (await client.get_workflow_handle(f"restore:h:r:{subject}").describe()).status
            for subject in ("ended", "open", "unknown")
        }
    running = WorkflowExecutionStatus.RUNNING
    assert found == {"ended": WorkflowExecutionStatus.TERMINATED, "open": running, "unknown": running}


def test_a_bounded_number_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "temporal.db"
    for number in range(KEPT_ASIDE + 3):
        path.write_text(str(number))
        path.with_name("temporal.db-wal").write_text(str(number))
        set_aside(path)
    kept = sorted(name for name in aside(path))
    assert [(tmp_path / name).read_text() for name in kept] == ["3", "4", "5", "6", "7"]
    assert (tmp_path / f"{kept[-1]}-wal").read_text() == "7"
    assert len(list(tmp_path.iterdir())) == 2 * KEPT_ASIDE


def test_a_crash_between_the_two_numbers_means_nothing(tmp_path: Path) -> None:
    path = tmp_path / "temporal.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE namespaces (name TEXT)")
        connection.execute("INSERT INTO namespaces VALUES ('default')")
        connection.commit()
    assert examine(path, 0).number == 1
    assert examine(path, 0).number == 2
    assert examine(path, 1).behind == ""
    assert examine(path, 3).behind == ""
    assert "older" in examine(path, 9).behind
    assert examine(path, 10).behind == ""


def test_a_link_to_what_is_not_mounted_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "temporal.db"
    path.symlink_to(tmp_path / "not mounted" / "temporal.db")
    with pytest.raises(StorageDeniedError, match="is a link to"):
        examine(path, 1)
    assert path.is_symlink()
