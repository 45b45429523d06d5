"""A host with a settings file, a repository and a source by name: what schedules, watches and guards are for."""

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

from holdfast.crypto.kdf import ScryptParameters
from holdfast.repository.repository import Repository
from holdfast.service.settings.load import load_settings
from holdfast.service.settings.model import Settings
from holdfast.storage.local import LocalStorage
from tests.support import fork_server

PROJECT: Final = Path(__file__).parent.parent.parent
PASSWORD: Final = b"canary-password-staple"


@dataclass(kw_only=True)
class Site:
    """Everything below one folder; `declare` writes the settings file anew."""

    folder: Path
    address: str = ""
    host: str = field(default_factory=lambda: f"host-{uuid.uuid4().hex[:12]}")

    def __post_init__(self) -> None:
        self.source.mkdir(parents=True)
        (self.folder / "password").write_bytes(PASSWORD)
        Repository.init(LocalStorage(self.repository), PASSWORD, kdf=ScryptParameters.for_tests())
        self.declare()

    @property
    def repository(self) -> Path:
        return self.folder / "repository"

    @property
    def source(self) -> Path:
        return self.folder / "canary-source"

    @property
    def config(self) -> Path:
        return self.folder / "holdfast.toml"

    @property
    def settings(self) -> Settings:
        return load_settings(self.config, {"HOME": str(self.folder)})

    @property
    def queue(self) -> str:
        return f"holdfast.{self.host}"

    def declare(self, more: str = "") -> None:
        """The settings, with what a test adds below the source's keys."""
        server = f'[server]\naddress = "{self.address}"\n' if self.address else ""
        self.config.write_text(
            f'state_dir = "{self.folder}/state"\nhost = "{self.host}"\n{server}'
            '[worker]\nprocesses = 1\nheartbeat_timeout = "5s"\nheartbeat_throttle = "1s"\n'
            'graceful_shutdown = "1s"\n'
            f'[repositories.home]\nlocation = "{self.repository}"\npassword_file = "{self.folder}/password"\n'
            f'[sources.docs]\nrepository = "home"\npaths = ["{self.source}"]\n{more}'
        )

    def holdfast(self, *arguments: str, code: int = 0) -> str:
        """Run a command; what it printed. It must end with `code`."""
        command = self.command(*arguments)
        done = fork_server.run(command, cwd=PROJECT, env=self.environment, capture_output=True, text=True)
        assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def command(self, *arguments: str) -> list[str]:
        """A command line."""
        return [sys.executable, "-m", "holdfast.starter", *arguments, "--config", str(self.config)]

    @property
    def project(self) -> Path:
        return PROJECT

    def answer(self, *arguments: str, code: int = 0) -> Any:
        """Run a command with --json; its last document."""
        lines = self.holdfast(*arguments, "--json", code=code).strip().splitlines()
        return json.loads(lines[-1])

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Workers for this host's queue (`python worker.py`), or everything (`holdfast up`) without a server."""
        command = [sys.executable, "worker.py", "--settings", str(self.config)]
        if not self.address:
            command = [sys.executable, "-m", "holdfast.starter", "up", "--config", str(self.config)]
        with (self.folder / "service.log").open("ab") as log:
            process = fork_server.Popen[bytes](
                command, cwd=PROJECT, env=self.environment, stderr=log, stdout=log
            )
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            finally:
                process.kill()
                process.wait()

    def restored_by_restic(self, snapshot: str, target: Path) -> Path:
        """A snapshot as stock restic restores it."""
        environment = {
            "RESTIC_PASSWORD": PASSWORD.decode(),
            "PATH": os.environ["PATH"],
            "HOME": "/nonexistent",
        }
        command = ["restic", "--no-cache", "--no-lock", "-r", str(self.repository), "restore", snapshot]
        subprocess.run([*command, "--target", str(target)], check=True, capture_output=True, env=environment)
        return target / self.source.relative_to("/")

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "PYTHONPATH": str(PROJECT)}
