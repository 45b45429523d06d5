"""What a run costs: wall time, processor time of all its processes, and the memory that they have at one time.

Processor time comes from the kernel's account of a process and all that it waited for. Memory is the sum of the
proportional set sizes (what processes share is counted once), looked at again and again; looking takes time of its own,
so only runs whose time does not count are watched.
"""

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
import psutil

from holdfast.starter.host import forks

_LOOK_S: Final = 0.02
_KIB: Final = 1 << 10


class RunFailedError(Exception):
    """A command failed; the message has the end of what it said."""


class Measured(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One run. peak_bytes: of all its processes together; workers_peak_bytes: of Holdfast's worker processes."""

    wall_s: float
    cpu_s: float
    peak_bytes: int = 0
    workers_peak_bytes: int = 0
    stored_bytes: int = 0
    history_events: int = 0
    database_bytes: int = 0


@dataclass(slots=True)
class MemoryWatch:
    """Looks at a process and all below it, in a thread. enabled: else nothing is done."""

    enabled: bool
    peak_bytes: int = 0
    workers_peak_bytes: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def of(self, pid: int) -> Iterator[None]:
        """Look for as long as the context lasts."""
        if not self.enabled:
            yield
            return
        looking = threading.Thread(target=self._look, args=(pid,))
        looking.start()
        try:
            yield
        finally:
            self._stop.set()
            looking.join()

    def _look(self, pid: int) -> None:
        while not self._stop.wait(_LOOK_S):
            everything = workers = 0
            for process in tree(pid):
                size = proportional_bytes(process.pid)
                everything += size
                workers += size * is_worker(process)
            self.peak_bytes = max(self.peak_bytes, everything)
            self.workers_peak_bytes = max(self.workers_peak_bytes, workers)


def tree(pid: int) -> list[psutil.Process]:
    """A process and all that descend from it; nothing when it is gone."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def is_worker(process: psutil.Process) -> bool:
    """Whether it is one of Holdfast's worker processes."""
    try:
        return forks.is_worker(process.cmdline())
    except psutil.Error:
        return False


def cpu_of_tree(pid: int) -> float:
    """Processor time of a process and all below it, living or waited for."""
    total = 0.0
    for process in tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def run_command(
    command: Sequence[str], *, environment: Mapping[str, str], cwd: Path, log: Path, watch: bool
) -> Measured:
    """Run a command to its end. What it says goes to the file `log`.

    Raises:
        RunFailedError: it failed.
    """
    memory = MemoryWatch(watch)
    with log.open("wb") as said:
        begun = time.monotonic()
        process = subprocess.Popen(
            command, env=environment, cwd=cwd, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT
        )
        try:
            with memory.of(process.pid):
                _, status, usage = os.wait4(process.pid, 0)
                ended = time.monotonic()
        except BaseException:
            process.terminate()
            process.wait()
            raise
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RunFailedError(f"{command[0]} failed ({process.returncode}): {tail(log)}")
    return Measured(
        wall_s=ended - begun,
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_bytes=memory.peak_bytes,
        workers_peak_bytes=memory.workers_peak_bytes,
    )


def tail(log: Path) -> str:
    """The end of a log."""
    return log.read_text(errors="replace")[-2_000:].strip()


def proportional_bytes(pid: int) -> int:
    """A process's memory, what it shares with others by shares; nothing when it is gone."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as rollup:
            for line in rollup:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * _KIB
    except OSError:
        return 0
    return 0
