"""Finds the processes to kill: the worker that is inside the large file, and the Temporal server."""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from holdfast.starter.host.forks import is_worker

_LEAP_BYTES: Final = 128 << 20
"""More than a worker reads between two looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """A worker that has the large file open. read_bytes: how far it has come since it was first seen."""

    process: psutil.Process
    read_bytes: int


@dataclass(slots=True)
class ReaderWatch:
    """Remembers where each worker was first seen inside its segment of the file, and where last."""

    file: Path
    _seen: dict[int, tuple[int, int]] = field(default_factory=dict)

    def farthest(self, processes: Iterable[psutil.Process]) -> Reader | None:
        """The worker that has come farthest, or None while nobody reads the file."""
        found: Reader | None = None
        for process in processes:
            position = _position(process, self.file)
            if position is None:
                self._seen.pop(process.pid, None)
                continue
            first, last = self._seen.get(process.pid, (position, position))
            if not 0 <= position - last < _LEAP_BYTES:
                first = position  # in another segment by now
            self._seen[process.pid] = (first, position)
            if found is None or position - first > found.read_bytes:
                found = Reader(process=process, read_bytes=position - first)
        return found


def workers(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Those that are worker processes."""
    return [process for process in processes if is_worker(_arguments(process))]


def server(processes: Iterable[psutil.Process]) -> psutil.Process | None:
    """The embedded Temporal server."""
    for process in processes:
        arguments = _arguments(process)
        if arguments and Path(arguments[0]).name == "temporal" and "start-dev" in arguments:
            return process
    return None


def kill(process: psutil.Process) -> None:
    """SIGKILL, and wait until it is gone."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()
    psutil.wait_procs([process], timeout=10)


def _arguments(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _position(process: psutil.Process, file: Path) -> int | None:
    try:
        return next((int(f.position) for f in process.open_files() if f.path == str(file)), None)
    except psutil.Error:
        return None
