"""Finds the processes to kill: the worker that is inside the large file, and the Temporal server."""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """A worker that has the large file open. read_bytes: how far it has come since it was first seen."""

    process: psutil.Process
    read_bytes: int


@dataclass(slots=True)
class ReaderWatch:
    """Remembers where each worker was first seen inside the file."""

    file: Path
    _first: dict[int, int] = field(default_factory=dict)

    def farthest(self, processes: Iterable[psutil.Process]) -> Reader | None:
        """The worker that has come farthest, or None while nobody reads the file."""
        found: Reader | None = None
        for process in processes:
            position = _position(process, self.file)
            if position is None:
                self._first.pop(process.pid, None)
                continue
            # A position behind the first one is that of another segment of the file.
            first = min(self._first.setdefault(process.pid, position), position)
            self._first[process.pid] = first
            if found is None or position - first > found.read_bytes:
                found = Reader(process=process, read_bytes=position - first)
        return found


def workers(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Those that are worker processes."""
    return [process for process in processes if "--config-fd" in _arguments(process)]


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
