"""Worker processes are forked by one process that has loaded what all of them need (ADR 0022).

A command that has loaded it forks them itself (`Forks`). A process that has threads, which would not live in what is
forked, starts one that loads, forks them, and ends (`Launch`). A worker's configuration, with the passwords, goes
through a pipe once its parent is the process that it is to end with. One whose pipe is closed before that ends by
itself. Argv and environment hold no secret.
"""

import asyncio
import contextlib
import ctypes
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from holdfast.backup.store.claims import ClaimTable
from holdfast.repository.index.shared import SharedIndex
from holdfast.repository.shared_keys import SharedKeys
from holdfast.service.settings.model import Settings
from holdfast.starter.host.children import ADOPTION, Child, spawn
from holdfast.starter.host.forks import fork_apart
from holdfast.starter.host.processes import child_environment, ending, open_log

_WORKER: Final = Path(__file__).parents[2] / "worker.py"
_STDERR: Final = 2
_ARENAS: Final = 2
_MMAP_THRESHOLD_BYTES: Final = 4 << 20
_TRIM_THRESHOLD_BYTES: Final = 32 << 20
"""Have glibc keep the memory of chunks that come and go, because touching fresh pages costs more than SHA-256 of them,
but not a heap for each of the threads that come and go as well. Large buffers are pooled by holdfast/buffers.py."""
_MALLOC_VARIABLES: Final = {
    "MALLOC_ARENA_MAX": str(_ARENAS),
    "MALLOC_MMAP_THRESHOLD_": str(_MMAP_THRESHOLD_BYTES),
    "MALLOC_TRIM_THRESHOLD_": str(_TRIM_THRESHOLD_BYTES),
}
_MALLOC_PARAMETERS: Final = {-8: _ARENAS, -3: _MMAP_THRESHOLD_BYTES, -1: _TRIM_THRESHOLD_BYTES}
"""The same for mallopt(3), in a process that runs already: M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """The workers of a crew share memory, by descriptors; it lives as long as one of them or the supervisor."""

    claims: int
    keys: int
    index: int

    @classmethod
    def create(cls) -> "Memory":
        """Empty."""
        return cls(
            claims=ClaimTable.create_file(), keys=SharedKeys.create_file(), index=SharedIndex.create_file()
        )

    @property
    def descriptors(self) -> tuple[int, ...]:
        """All of them."""
        return tuple(descriptor for descriptor in (self.claims, self.keys, self.index) if descriptor >= 0)

    def close(self) -> None:
        """Let go of it here."""
        for descriptor in self.descriptors:
            os.close(descriptor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recruit:
    """A worker process that waits for its configuration, at the other end of the pipe `config`."""

    child: Child
    config: int

    async def tell(self, document: bytes) -> None:
        """Tell it what to do. In a thread: a pipe takes 64 KiB at once, and the worker may be slow to read."""
        await asyncio.to_thread(self._write, document)

    def dismiss(self) -> None:
        """Tell it nothing: it ends."""
        os.close(self.config)

    def _write(self, document: bytes) -> None:
        with contextlib.suppress(BrokenPipeError), open(self.config, "wb") as pipe:
            pipe.write(document)


class Forks:
    """Worker processes that this process has forked. To be made where there is one thread (forks.py)."""

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        """Fork them. What they need should be loaded by now.

        Raises:
            OSError: no process can be had.
            StorageDeniedError, StorageFullError: the state directory cannot be written.
        """
        self.memory = Memory.create()
        self._workers: list[tuple[int, int]] = []
        try:
            for number in range(settings.worker.processes):
                self._fork(settings, child_environment(environ), number)
        except BaseException:
            self.abandon()
            raise

    def take(self) -> list[Recruit]:
        """The workers, in the order of their numbers, and no longer this object's. In an event loop."""
        workers, self._workers = self._workers, []
        return [Recruit(child=Child(pid), config=config) for pid, config in workers]

    def abandon(self) -> None:
        """They are not needed: they end, because their pipes are closed."""
        workers, self._workers = self._workers, []
        for _, config in workers:
            os.close(config)
        for pid, _ in workers:
            os.waitpid(pid, 0)
        self.memory.close()

    def _fork(self, settings: Settings, environment: Mapping[str, str], number: int) -> None:
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
            reading, writing = _pipe(theirs, ours)
            pid = fork_apart(
                partial(_work, reading),
                keep={reading, *self.memory.descriptors},
                stderr=_log(settings.state_dir, number, theirs),
                environment=environment,
            )
            self._workers.append((pid, writing))
            ours.pop_all()


class Launch:
    """Worker processes that are being loaded."""

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        *,
        numbers: Sequence[int],
        memory: Memory,
        to_stderr: bool = False,
    ) -> None:
        """Begin. to_stderr: they log there, and not into files.

        Raises:
            OSError: no process can be started.
            StorageDeniedError, StorageFullError: the state directory cannot be written.
        """
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
            pipes = [_pipe(theirs, ours) for _ in numbers]
            self._told, telling = _pipe(ours, theirs)
            reading, self._configs = [pipe[0] for pipe in pipes], [pipe[1] for pipe in pipes]
            logs = [] if to_stderr else [_log(settings.state_dir, number, theirs) for number in numbers]
            pid = spawn(
                _command(reading, logs, telling),
                environment={**child_environment(environ), **_MALLOC_VARIABLES},
                stderr=logs[0] if logs else _STDERR,
                descriptors=(*reading, *logs, telling, *memory.descriptors),
            )
            ADOPTION.begin()
            ours.pop_all()
        self._loader = Child(pid)

    async def arrivals(self) -> list[Recruit]:
        """The workers, in the order of their numbers, once they are there. To be called once.

        Raises:
            ChildProcessError: they could not be loaded, or were abandoned.
        """
        ended = ending(await self._loader.wait())
        ADOPTION.end()
        pids = _read_pids(self._told)
        if len(pids) == len(self._configs):
            children = [Child(pid) for pid in pids]
            return [
                Recruit(child=child, config=config)
                for child, config in zip(children, self._configs, strict=True)
            ]
        for config in self._configs:
            os.close(config)
        raise ChildProcessError(f"the process that loads them ended {ended}")

    def abandon(self) -> None:
        """They are not needed. What is there already ends by itself, because its pipe is closed."""
        self._loader.kill()


def _work(config: int) -> int:
    """Be a worker, in a process that a command has forked."""
    from holdfast.starter.host.worker_process import work  # noqa: PLC0415 - loaded by then

    os.setsid()
    for parameter, value in _MALLOC_PARAMETERS.items():
        ctypes.CDLL(None).mallopt(parameter, value)
    return work(config)


def _pipe(reader: contextlib.ExitStack, writer: contextlib.ExitStack) -> tuple[int, int]:
    """Both ends of a pipe, and who closes which."""
    reading, writing = os.pipe()
    reader.callback(os.close, reading)
    writer.callback(os.close, writing)
    return reading, writing


def _read_pids(descriptor: int) -> list[int]:
    with open(descriptor, "rb") as pipe:
        return [int(pid) for pid in pipe.read().split()]


def _log(state_dir: Path, number: int, stack: contextlib.ExitStack) -> int:
    return stack.enter_context(open_log(state_dir, f"worker-{number}")).fileno()


def _command(configs: Sequence[int], logs: Sequence[int], pids: int) -> list[str]:
    command = [sys.executable, "-P", str(_WORKER), "--pids-fd", str(pids)]
    for config in configs:
        command += ["--config-fd", str(config)]
    for log in logs:
        command += ["--log-fd", str(log)]
    return command
