"""Starts worker processes: one process loads what all of them need, forks them, and ends (ADR 0022).

A worker's configuration, with the passwords, goes through a pipe once the process that forked it has ended: from then
on this process is its parent, and the worker can ask to end with it. One whose pipe is closed before that ends by
itself. Argv and environment hold no secret.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from holdfast.backup.claims import ClaimTable
from holdfast.errors import HoldfastError
from holdfast.repository.shared_keys import SharedKeys
from holdfast.settings.model import Settings
from starter.children import ADOPTION, Child, spawn
from starter.ownership import running_services
from starter.processes import child_environment, ending, open_log

_WORKER: Final = Path(__file__).parent.parent / "worker.py"
_STDERR: Final = 2
_MALLOC: Final = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": str(4 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(32 << 20),
}
"""Have glibc keep the memory of chunks that come and go, because touching fresh pages costs more than SHA-256 of them,
but not a heap for each of the threads that come and go as well. Large buffers are pooled by holdfast/buffers.py."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What the workers of a crew share: descriptors of memory that lives as long as one of them or the supervisor."""

    claims: int
    keys: int

    @classmethod
    def create(cls) -> "Memory":
        """Empty."""
        return cls(claims=ClaimTable.create_file(), keys=SharedKeys.create_file())

    def close(self) -> None:
        """Let go of it here."""
        os.close(self.claims)
        os.close(self.keys)


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
        self.memory = memory
        self._loader: Child | None = None
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
            pipes = [_pipe(theirs, ours) for _ in numbers]
            self._told, telling = _pipe(ours, theirs)
            reading, self._configs = [pipe[0] for pipe in pipes], [pipe[1] for pipe in pipes]
            logs = [] if to_stderr else [_log(settings.state_dir, number, theirs) for number in numbers]
            self._pid = spawn(
                _command(reading, logs, telling),
                environment={**child_environment(environ), **_MALLOC},
                stderr=logs[0] if logs else _STDERR,
                descriptors=(*reading, *logs, telling, memory.claims, memory.keys),
            )
            ADOPTION.begin()
            ours.pop_all()

    @property
    def is_awaited(self) -> bool:
        """Whether somebody has asked for the arrivals, and sees to what follows."""
        return self._loader is not None

    async def arrivals(self) -> list[Recruit]:
        """The workers, in the order of their numbers, once they are there. To be called once.

        Raises:
            ChildProcessError: they could not be loaded, or were abandoned.
        """
        self._loader = Child(self._pid)
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
        """Load no further. What was forked already ends by itself, because its pipe is closed."""
        if self._loader is not None:
            self._loader.kill()
            return
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        ADOPTION.end()
        for descriptor in (self._told, *self._configs):
            os.close(descriptor)


@contextlib.contextmanager
def expecting_run(settings: Settings, environ: Mapping[str, str]) -> Iterator[Launch | None]:
    """Begin to load workers for a run, where nobody serves any queue of this host and no other one might.

    So they load while the command finds out what is to be run. Gives None where they may not be needed.
    """
    launch = None
    if settings.server.address is None and not running_services(settings.state_dir):
        with contextlib.suppress(HoldfastError, OSError):  # who cannot go on without them meets that again
            numbers = range(settings.worker.processes)
            launch = Launch(settings, environ, numbers=numbers, memory=Memory.create())
    try:
        yield launch
    finally:
        if launch is not None and not launch.is_awaited:
            launch.abandon()
            launch.memory.close()


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
    command = [sys.executable, str(_WORKER), "--pids-fd", str(pids)]
    for config in configs:
        command += ["--config-fd", str(config)]
    for log in logs:
        command += ["--log-fd", str(log)]
    return command
