"""Real worker processes over a real repository: what the end-to-end and replay tests run against."""

import contextlib
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from holdfast.contracts.backup import BackupRequest
from holdfast.contracts.common import RunPolicy
from holdfast.contracts.identity import task_queue
from holdfast.contracts.restore import RestoreRequest
from holdfast.contracts.worker import WorkerConfig
from holdfast.crypto.kdf import ScryptParameters
from holdfast.repository.repository import Repository
from holdfast.restore.request import RestoreOptions
from holdfast.service.settings.requests import RepositoryOrder, SourceOrder, write_request
from holdfast.source.spec import SourceSpec
from holdfast.storage.local import LocalStorage
from holdfast.terms import Strategy, VerifyLevel
from tests.support import fork_server

PROJECT: Final = Path(__file__).parent.parent.parent
PASSWORD: Final = b"canary-password-horse"
FAST: Final = RunPolicy(window=2, heartbeat_timeout_s=3, light_timeout_s=60, shard_timeout_s=300)


@dataclass(kw_only=True)
class Installation:
    """A host with one repository and one source; everything below one folder."""

    folder: Path
    address: str
    host: str = field(default_factory=lambda: f"host-{uuid.uuid4()}")

    def __post_init__(self) -> None:
        self.source.mkdir(parents=True)
        self.settings.write_text(
            f'[server]\naddress = "{self.address}"\n[worker]\ngraceful_shutdown = "1s"\nheartbeat_throttle = "1s"\n'
        )
        self.create_repository()

    def create_repository(self) -> None:
        """Create it where it belongs."""
        Repository.init(LocalStorage(self.repository), PASSWORD, kdf=ScryptParameters.for_tests())

    @property
    def repository(self) -> Path:
        return self.folder / "repository"

    @property
    def source(self) -> Path:
        return self.folder / "canary-source"

    @property
    def target(self) -> Path:
        return self.folder / "canary-target"

    @property
    def settings(self) -> Path:
        return self.folder / "holdfast.toml"

    @property
    def log(self) -> Path:
        return self.folder / "worker.log"

    @property
    def state_dir(self) -> Path:
        return self.folder / "state"

    @property
    def repository_token(self) -> str:
        return write_request(self.state_dir, RepositoryOrder(location=str(self.repository)))

    @property
    def queue(self) -> str:
        return task_queue(self.host, self.repository_token)

    def workspace_files(self) -> list[Path]:
        """The documents of all runs."""
        runs = self.repository / "holdfast" / "runs"
        return [path for path in runs.rglob("*") if path.is_file()] if runs.exists() else []

    def backup_request(
        self,
        *,
        strategy: Strategy = Strategy.AUTO,
        verify: VerifyLevel = VerifyLevel.FULL,
        policy: RunPolicy = FAST,
        resume_run: str = "",
    ) -> BackupRequest:
        """A backup of the source."""
        spec = SourceSpec(roots=(os.fsencode(self.source),))
        return BackupRequest(
            repository=self.repository_token,
            source=write_request(self.state_dir, SourceOrder(spec=spec)),
            strategy=strategy,
            host="testhost",
            verify=verify,
            policy=policy,
            resume_run=resume_run,
        )

    def restore_request(self, *, snapshot: str = "latest", policy: RunPolicy = FAST) -> RestoreRequest:
        """A restore of the source's tree into the target."""
        options = RestoreOptions(snapshot=f"{snapshot}:{self.source}", target=os.fsencode(self.target))
        return RestoreRequest(
            repository=self.repository_token,
            selection=write_request(self.state_dir, options, once=uuid.uuid4().hex),
            verify=VerifyLevel.FULL,
            policy=policy,
        )

    def worker_config(self, *, process: int = 0, supervisor_pid: int = 0) -> WorkerConfig:
        """What a supervisor would hand to a worker process."""
        return WorkerConfig(
            address=self.address,
            state_dir=str(self.state_dir),
            settings=str(self.settings),
            queues=(self.queue,),
            process=process,
            supervisor_pid=supervisor_pid,
            passwords={str(self.repository): PASSWORD},
        )


def start_worker(
    config: WorkerConfig, *, log: Path, environment: Mapping[str, str] | None = None
) -> "subprocess.Popen[bytes]":
    """Start `worker.py` with its configuration on a pipe, as a supervisor does.

    environment: beside the usual. With one, even an empty one, it is a program of its own, whose variables are read as
    it starts, and whose arguments the kernel shows (fork_server.py).
    """
    popen = fork_server.Popen[bytes] if environment is None else subprocess.Popen[bytes]
    reading, writing = os.pipe()
    with log.open("ab") as stderr:
        process = popen(
            [sys.executable, "worker.py", "--config-fd", str(reading)],
            cwd=PROJECT,
            pass_fds=(reading,),
            env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(log.parent)}
            | dict(environment or {}),
            stderr=stderr,
        )
    os.close(reading)
    with open(writing, "wb") as pipe:
        pipe.write(config.to_json())
    return process


@contextlib.contextmanager
def running_worker(
    config: WorkerConfig, *, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker process that is ended, gently first, on leaving. The rest is as in `start_worker`."""
    process = start_worker(config, log=log, environment=environment)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            finally:
                process.kill()
                process.wait()
