"""Holdfast in its three ways: the engine as a library, a service that is up, the command with a server of its own.

The library's time begins once it is imported. The service's time is from the client's call to the result. The
command's time is all of it: Python, the server, the workers, the run.
"""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

import msgspec
from temporalio.client import Client

from benchmarks.contenders import CommandContender, Contender, Verb
from benchmarks.measure import Measured, MemoryWatch, RunFailedError, cpu_of_tree, run_command, tail
from benchmarks.places import size_of
from holdfast import __version__
from holdfast.contracts.backup import BackupRequest
from holdfast.contracts.restore import RestoreRequest
from holdfast.contracts.verbs import Request
from holdfast.contracts.verify import VerifyRequest, VerifyResult
from holdfast.control import requests, runs
from holdfast.control.requests import base_queue
from holdfast.cores import usable_cores
from holdfast.restore.request import RestoreOptions
from holdfast.service.settings.load import load_settings
from holdfast.service.settings.model import Settings
from holdfast.service.settings.requests import SourceOrder
from holdfast.source.spec import SourceSpec
from holdfast.starter.host.temporal_server import EmbeddedServer
from holdfast.terms import RunStatus, VerifyLevel

PROJECT: Final = Path(__file__).parent.parent
_PROFILE: Final = "benchmark"
_START_LIMIT_S: Final = 60.0
_LOOK_AGAIN_S: Final = 0.05
_SETTLE_LIMIT_S: Final = 15.0


class _Holdfast(CommandContender):
    """What the three have in common: a settings file with one repository, and the short commands."""

    program: ClassVar[tuple[str, ...]] = ("-m", "holdfast.starter")

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.settings_file = self.folder / "holdfast.toml"
        self.settings_file.write_text(
            f'state_dir = "{self.folder}/state"\nhost = "benchmark"\n'
            f'[repositories.{_PROFILE}]\nlocation = "{self.homes.repository}"\n'
            f'password_file = "{self.password_file}"\n'
        )

    def version(self) -> str:
        """See the base class."""
        return f"holdfast {__version__}"

    def init(self) -> None:
        """See the base class."""
        self.ask(*self.holdfast("init"))

    def variables(self) -> Mapping[str, str]:
        """See the base class."""
        return {"PYTHONPATH": str(PROJECT), "HOLDFAST_CONFIG": str(self.settings_file)}

    def holdfast(self, *arguments: str) -> list[str]:
        """The command line of the command."""
        return [sys.executable, *self.program, "--repo", _PROFILE, *arguments]

    def settle(self) -> None:
        """Workers keep their lock for a while; under it they may believe what they know of the repository."""
        locks = self.homes.repository / "locks"
        until = time.monotonic() + _SETTLE_LIMIT_S
        while locks.exists() and any(locks.iterdir()):
            if time.monotonic() > until:
                raise RunFailedError(f"{self.name}: a lock stays after the run")
            time.sleep(_LOOK_AGAIN_S)


class Library(_Holdfast):
    """The engine, two processes that copy, no Temporal."""

    name = "holdfast-library"

    def command(self, verb: Verb, path: Path) -> list[str]:
        """See the base class."""
        program = [sys.executable, "-m", "benchmarks.engine_run", verb.value]
        return [*program, str(self.homes.repository), str(path), str(self.password_file), str(usable_cores())]

    def run(self, verb: Verb, path: Path, *, watch: bool) -> Measured:
        """See the base class. Time and processor time are what the program says itself."""
        outside = super().run(verb, path, watch=watch)
        inside = msgspec.json.decode(self.log.read_bytes().splitlines()[-1], type=Measured)
        return msgspec.structs.replace(
            inside, peak_bytes=outside.peak_bytes, workers_peak_bytes=outside.peak_bytes
        )


class OneShot(_Holdfast):
    """The command, which starts server and workers for itself."""

    name = "holdfast-one-shot"

    def command(self, verb: Verb, path: Path) -> list[str]:
        """See the base class."""
        return {
            Verb.BACKUP: self.holdfast("backup", "--quiet", "--verify", "none", str(path)),
            Verb.RESTORE: self.holdfast("restore", "--quiet", "latest", "--target", str(path)),
            Verb.VERIFY: self.holdfast("verify", "--quiet", "--level", "full"),
        }[verb]

    def run(self, verb: Verb, path: Path, *, watch: bool) -> Measured:
        """See the base class."""
        before = _database_bytes(self.folder)
        measured = run_command(
            self.command(verb, path),
            environment=self.environment(),
            cwd=self.folder,
            log=self.log,
            watch=watch,
        )
        return msgspec.structs.replace(measured, database_bytes=_database_bytes(self.folder) - before)


class Service(_Holdfast):
    """`holdfast up` in the background; a client of Temporal asks it. It starts with the first run."""

    name = "holdfast-service"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._up: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process that everything else of the service descends from."""
        return self._running().pid

    def command(self, verb: Verb, path: Path) -> list[str]:
        """Not by commands."""
        raise NotImplementedError

    def run(self, verb: Verb, path: Path, *, watch: bool) -> Measured:
        """See the base class."""
        settings = load_settings(self.settings_file, {})
        up = self._running()
        return asyncio.run(self._measured(settings, up, verb, path, watch=watch))

    def close(self) -> None:
        """See the base class."""
        if self._up is not None:
            self._up.terminate()
            self._up.wait()
            self._up = None

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._up is None:
            with (self.folder / "up.log").open("wb") as log:
                self._up = subprocess.Popen(
                    self.holdfast("up"),
                    env=self.environment(),
                    cwd=self.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
        return self._up

    async def _measured(
        self, settings: Settings, up: "subprocess.Popen[bytes]", verb: Verb, path: Path, *, watch: bool
    ) -> Measured:
        client = await self._client(settings, up)
        request, workflow_id = _request(settings, verb, path)
        before, cpu, memory = _database_bytes(self.folder), cpu_of_tree(up.pid), MemoryWatch(watch)
        with memory.of(up.pid):
            begun = time.monotonic()
            handle = await runs.start(client, request, workflow_id, base_queue(settings, _PROFILE))
            result = await handle.result()
            wall = time.monotonic() - begun
        sound = not isinstance(result, VerifyResult) or (result.verdict is not None and result.verdict.ok)
        if result.status is not RunStatus.COMPLETE or not sound:
            raise RunFailedError(
                f"{self.name}: {verb} ended {result.status}, {'sound' if sound else 'damaged'}"
            )
        return Measured(
            wall_s=wall,
            cpu_s=cpu_of_tree(up.pid) - cpu,
            peak_bytes=memory.peak_bytes,
            workers_peak_bytes=memory.workers_peak_bytes,
            history_events=(await handle.describe()).history_length,
            database_bytes=_database_bytes(self.folder) - before,
        )

    async def _client(self, settings: Settings, up: "subprocess.Popen[bytes]") -> Client:
        until = time.monotonic() + _START_LIMIT_S
        while time.monotonic() < until and up.poll() is None:
            client = await EmbeddedServer(settings, os.environ).find()
            if client is not None:
                return client
            await asyncio.sleep(_LOOK_AGAIN_S)
        raise RunFailedError(f"{self.name}: the service does not start: {tail(self.folder / 'up.log')}")


WAYS: Final[tuple[type[Contender], ...]] = (Library, Service, OneShot)


def _request(settings: Settings, verb: Verb, path: Path) -> tuple[Request, str]:
    policy = requests.run_policy(settings)
    if verb is Verb.BACKUP:
        source = requests.store(settings, SourceOrder(spec=SourceSpec(roots=(os.fsencode(path),))))
        backup = BackupRequest(repository=_PROFILE, source=source, verify=VerifyLevel.NONE, policy=policy)
        return backup, requests.workflow_id_of(settings, backup)
    if verb is Verb.VERIFY:
        verify = VerifyRequest(repository=_PROFILE, share="all", policy=policy)
        return verify, requests.workflow_id_of(settings, verify)
    selection = requests.store_once(settings, RestoreOptions(target=os.fsencode(path)))
    restore = RestoreRequest(repository=_PROFILE, selection=selection, policy=policy)
    return restore, requests.workflow_id_of(settings, restore)


def _database_bytes(folder: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return size_of(folder / "state")
    return 0
