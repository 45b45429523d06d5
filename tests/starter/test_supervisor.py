"""Worker processes that are killed, looked at for secrets, and ended."""

import asyncio
import dataclasses
import os
import signal
import socket
from pathlib import Path

import psutil
import pytest

from holdfast.contracts.worker import WorkerConfig
from holdfast.starter.host.early_start import early_start
from holdfast.starter.host.ownership import ServiceNote, registered_service
from holdfast.starter.host.processes import Backoff
from holdfast.starter.host.supervisor import Crew, at, running_workers
from holdfast.transport.own_key import ensure_key
from tests.support.commands import CANARY, Home, children, is_alive, until
from tests.support.service import start_worker

NOBODY = "127.0.0.1:9"


def make_key(state_dir: Path) -> None:
    """As the service does before it starts workers; without it they end at once."""
    state_dir.mkdir(parents=True, exist_ok=True)
    ensure_key(state_dir / "signing.key")


@pytest.fixture
async def crew(tmp_path: Path) -> Crew:
    home = Home.create(tmp_path)
    make_key(home.settings.state_dir)
    return Crew(
        settings=home.settings,
        place=at(NOBODY),
        queues=("queue",),
        environ=home.environ,
        passwords={"/other": CANARY.encode()},
    )


async def test_a_killed_worker_is_started_again(crew: Crew) -> None:
    async with running_workers(crew):
        await until(lambda: len(children()["worker"]) == 2)
        killed, other = children()["worker"]
        killed.send_signal(signal.SIGKILL)
        await until(lambda: len(set(children()["worker"]) - {killed}) == 2)
        assert is_alive(other)
        started = children()["worker"]
    assert not any(is_alive(worker) for worker in started)


async def test_a_killed_loader_is_started_again(crew: Crew) -> None:
    async with running_workers(crew):
        await until(lambda: len(children()["worker"]) == 1)
        (loader,) = children()["worker"]
        loader.send_signal(signal.SIGKILL)
        await until(lambda: len(set(children()["worker"]) - {loader}) == 2)
        await until(lambda: not is_alive(loader))
    assert children()["worker"] == []


def test_a_worker_that_is_told_to_stop_while_it_connects_ends_by_itself(tmp_path: Path) -> None:
    """Its server takes the connection and says nothing. Ended by its alarm, it would have that signal's code."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        config = WorkerConfig(
            address=f"127.0.0.1:{silent.getsockname()[1]}", state_dir=str(tmp_path), queues=("queue",)
        )
        make_key(tmp_path)
        worker = start_worker(config, log=tmp_path / "worker.log")
        connection, _ = silent.accept()
        with connection:
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(60) == 0


async def test_workers_that_are_not_needed_any_more_end(crew: Crew) -> None:
    crew = dataclasses.replace(crew, place=asyncio.get_running_loop().create_future())
    async with running_workers(crew):
        await until(lambda: len(children()["worker"]) == 2)
        started = children()["worker"]
    assert not any(is_alive(worker) for worker in started)


async def test_what_was_begun_for_a_run_that_does_not_come_ends(crew: Crew) -> None:
    of_others = children()["server"]  # of a fixture that lasts as long as all tests do
    with early_start(crew.settings, crew.environ) as begun:
        assert begun is not None
        await until(lambda: len(children()["server"]) == len(of_others) + 1)
        begun.fork_workers(lambda: None)
        assert children()["worker"] == [], "this process has threads"
    assert children() == {"worker": [], "server": of_others}


def test_nothing_is_begun_where_somebody_serves(crew: Crew) -> None:
    note = ServiceNote(pid=1, up=True, queues=())
    with (
        registered_service(crew.settings.state_dir, note),
        early_start(crew.settings, crew.environ) as none,
    ):
        assert none is None


async def test_each_worker_has_a_log_and_a_session_of_its_own(crew: Crew) -> None:
    async with running_workers(crew):
        await until(lambda: len(children()["worker"]) == 2)
        workers = children()["worker"]
        assert {os.getsid(worker.pid) for worker in workers} == {worker.pid for worker in workers}
        logs = {os.readlink(f"/proc/{worker.pid}/fd/2").rpartition("/")[2] for worker in workers}
        assert logs == {"worker-0.log", "worker-1.log"}


async def test_no_child_can_be_seen_to_hold_a_secret(crew: Crew) -> None:
    async with running_workers(crew):
        await until(lambda: len(children()["worker"]) == 2)
        for worker in children()["worker"]:
            assert CANARY not in " ".join(worker.cmdline())
            assert CANARY not in str(worker.environ())
            assert worker.environ()["HOME"] == crew.environ["HOME"]


def test_workers_are_told_what_was_given_and_what_profiles_find_in_variables(
    crew: Crew, tmp_path: Path
) -> None:
    config = crew.config(1, crew.place.result())
    assert config.passwords == {"/other": CANARY.encode(), f"{tmp_path}/main": CANARY.encode()}
    assert config.process == 1
    assert config.supervisor_pid == psutil.Process().pid
    assert CANARY not in repr(crew)


def test_what_keeps_dying_is_started_ever_more_slowly() -> None:
    backoff = Backoff()
    backoff.started()
    assert [backoff.pause_s() for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    living = Backoff(life_s=0)
    assert [living.pause_s() for _ in range(2)] == [1, 1]
