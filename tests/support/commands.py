"""Commands as real processes: one-shots that hold a service for as long as their stdin is open, and `holdfast up`."""

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from holdfast.crypto.kdf import ScryptParameters
from holdfast.repository.repository import Repository
from holdfast.service.settings.load import load_settings
from holdfast.service.settings.model import Settings
from holdfast.starter.host.forks import is_worker
from holdfast.storage.local import LocalStorage

PROJECT: Final = Path(__file__).parent.parent.parent
CANARY: Final = "canary-password-stable"
TOKEN: Final = "@" + 32 * "a"
_LOOK_AGAIN_S: Final = 0.05

_ONE_SHOT: Final = f"""
import asyncio, os, sys
from pathlib import Path
from holdfast.service.settings.load import load_settings
from holdfast.control.requests import base_queue
from holdfast.starter.host.early_start import early_start
from holdfast.storage.locations import open_storage
from holdfast.starter.host.service import Need, open_service
from holdfast.starter.host.unlocker import Opening
from holdfast.starter.runs.entry import _load

async def keep_open(settings, need, begun):
    async with open_service(settings, need, os.environ, begun):
        print("open", flush=True)
        await asyncio.to_thread(sys.stdin.read)

settings = load_settings(Path(sys.argv[1]), os.environ)
location = str(Path(sys.argv[1]).parent / "repository")
with early_start(settings, os.environ) as begun:
    need = Need(
        queue=base_queue(settings, "{TOKEN}"),
        passwords={{location: b"{CANARY}"}},
        openings={{
            location: Opening(password=lambda: b"{CANARY}", storage=lambda: open_storage(location))
        }},
    )
    if begun is not None:
        begun.fork_workers(_load)
    asyncio.run(keep_open(settings, need, begun))
"""
_UP: Final = """
import sys
from pathlib import Path
from holdfast.errors import HoldfastError
from holdfast.starter.commands.up import up
from holdfast.starter.shell.options import CommonOptions

try:
    sys.exit(up(CommonOptions(config=Path(sys.argv[1]))))
except HoldfastError as error:
    sys.exit(str(error))
"""


@dataclass(frozen=True, kw_only=True)
class Home:
    """A settings file with its state directory, and the environment of commands."""

    folder: Path

    @classmethod
    def create(cls, folder: Path, *, server: str = "") -> "Home":
        """With one profile whose password stands in a variable, and a repository that commands name by its location."""
        home = cls(folder=folder)
        Repository.init(
            LocalStorage(folder / "repository"), CANARY.encode(), kdf=ScryptParameters.for_tests()
        )
        home.settings_file.write_text(
            f'state_dir = "{folder}/state"\nhost = "testhost"\n'
            f'[repositories.main]\nlocation = "{folder}/main"\npassword_env = "MAIN_PASSWORD"\n'
            f'[worker]\nprocesses = 2\ngraceful_shutdown = "1s"\n{server}'
        )
        return home

    @property
    def settings_file(self) -> Path:
        return self.folder / "holdfast.toml"

    @property
    def environ(self) -> dict[str, str]:
        """Full of secrets."""
        return {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.folder),
            "PYTHONPATH": str(PROJECT),
            "RESTIC_PASSWORD": CANARY,
            "MAIN_PASSWORD": CANARY,
        }

    @property
    def settings(self) -> Settings:
        return load_settings(self.settings_file, self.environ)

    @contextlib.contextmanager
    def one_shot(self) -> Iterator["subprocess.Popen[bytes]"]:
        """A command that has opened the service and keeps it open."""
        with self._running(_ONE_SHOT, log=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"open\n"
            yield process

    @contextlib.contextmanager
    def up(self) -> Iterator["subprocess.Popen[bytes]"]:
        """`holdfast up`, once it serves."""
        with self._running(_UP, log=subprocess.PIPE) as process:
            assert process.stderr is not None
            lines = iter(process.stderr.readline, b"")
            assert any(b"Web UI: http://127.0.0.1:" in line for line in lines)
            yield process

    def up_again(self) -> "subprocess.CompletedProcess[str]":
        """`holdfast up`, to its end."""
        return subprocess.run(
            [sys.executable, "-c", _UP, str(self.settings_file)],
            check=False,
            capture_output=True,
            text=True,
            env=self.environ,
        )

    @contextlib.contextmanager
    def _running(self, script: str, *, log: int) -> Iterator["subprocess.Popen[bytes]"]:
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(self.settings_file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=self.environ,
        )
        with process:
            try:
                yield process
            finally:
                process.send_signal(signal.SIGKILL)


def children(parent: int | None = None) -> dict[str, list[psutil.Process]]:
    """The living children of a process (this one, if none is given): its workers, and its servers."""
    found: dict[str, list[psutil.Process]] = {"worker": [], "server": []}
    for child in psutil.Process(parent).children():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            command = child.cmdline()
            if is_worker(command):
                found["worker"].append(child)
            elif command[1:3] == ["server", "start-dev"] and "--db-filename" in command:
                # Servers that other tests of this process have for themselves keep nothing in a file.
                found["server"].append(child)
    return found


def is_alive(process: psutil.Process) -> bool:
    """Whether it is there and no zombie."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


async def until(condition: Callable[[], bool]) -> None:
    """Wait for it; the test's own timeout ends this."""
    while not condition():
        await asyncio.sleep(_LOOK_AGAIN_S)
