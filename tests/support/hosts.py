"""Two hosts, each with settings, a state directory and workers of its own, that share one repository."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil

from holdfast.contracts.worker import WorkerConfig
from holdfast.crypto.kdf import ScryptParameters
from holdfast.repository.repository import Repository
from holdfast.storage.local import LocalStorage
from tests.support import fork_server

PROJECT: Final = Path(__file__).parent.parent.parent
PASSWORD: Final = b"canary-password-hosts"


@dataclass(kw_only=True)
class Host:
    """One host below a folder; `settings` is what stands in its file beside the common part."""

    folder: Path
    name: str
    address: str
    repository: Path
    settings: str = ""

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.write()

    @property
    def config(self) -> Path:
        return self.folder / "holdfast.toml"

    @property
    def queue(self) -> str:
        return f"holdfast.{self.name}"

    def write(self) -> None:
        """Write the settings file."""
        (self.folder / "password").write_bytes(PASSWORD)
        server = f'[server]\naddress = "{self.address}"\n' if self.address else ""
        self.config.write_text(
            f'state_dir = "{self.folder}/state"\nhost = "{self.name}"\n{server}'
            '[worker]\nprocesses = 1\nheartbeat_timeout = "5s"\nheartbeat_throttle = "1s"\n'
            'graceful_shutdown = "1s"\n'
            f'[repositories.home]\nlocation = "{self.repository}"\npassword_file = "{self.folder}/password"\n'
            f"{self.settings}"
        )

    def holdfast(self, *arguments: str, code: int = 0) -> str:
        """Run a command; what it printed. It must end with `code`."""
        done = self.run(*arguments)
        assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def failing(self, *arguments: str) -> str:
        """Run a command that must fail; its error."""
        done = self.run(*arguments)
        assert done.returncode == 1, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stderr

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command."""
        return fork_server.run(
            [sys.executable, "-m", "holdfast.starter", *arguments, "--config", str(self.config)],
            cwd=PROJECT,
            env=self.environment,
            capture_output=True,
            text=True,
        )

    def answer(self, *arguments: str, code: int = 0) -> Any:
        """Run a command with --json; its last document."""
        lines = self.holdfast(*arguments, "--json", code=code).strip().splitlines()
        return json.loads(lines[-1])

    @contextlib.contextmanager
    def serving(self) -> Iterator["subprocess.Popen[bytes]"]:
        """Workers of this host."""
        with (self.folder / "service.log").open("ab") as log:
            process = fork_server.Popen[bytes](
                [sys.executable, "worker.py", "--settings", str(self.config)],
                cwd=PROJECT,
                env=self.environment,
                stderr=log,
                stdout=log,
            )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            finally:
                process.kill()
                process.wait()

    @property
    def worker_config(self) -> WorkerConfig:
        """For a worker of this host without a supervisor."""
        return WorkerConfig(
            address=self.address,
            state_dir=str(self.folder / "state"),
            settings=str(self.config),
            queues=(self.queue,),
        )

    def kill(self, supervisor: "subprocess.Popen[bytes]") -> None:
        """SIGKILL workers and supervisor."""
        workers = psutil.Process(supervisor.pid).children(recursive=True)
        supervisor.kill()
        for worker in workers:
            with contextlib.suppress(psutil.NoSuchProcess):
                worker.kill()
        supervisor.wait()

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "PYTHONPATH": str(PROJECT),
            "CANARY_SECRET": "canary-environment",
        }


@dataclass(kw_only=True)
class Hosts:
    """`one` and `two`."""

    folder: Path
    address: str
    one: Host = field(init=False)
    two: Host = field(init=False)

    def __post_init__(self) -> None:
        repository = self.folder / "repository"
        Repository.init(LocalStorage(repository), PASSWORD, kdf=ScryptParameters.for_tests())
        unique = uuid.uuid4().hex[:12]
        self.one, self.two = (
            Host(
                folder=self.folder / name,
                name=f"{name}-{unique}",
                address=self.address,
                repository=repository,
            )
            for name in ("one", "two")
        )
