"""Runs commands that users name: without a shell, with a time limit, and with the end of what they printed.

A command and all that it starts are one process group, and are ended as one.
"""

import asyncio
import contextlib
import os
import shlex
import signal
import subprocess
import tempfile
import time
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, BinaryIO, Final

_POLL_S: Final = 0.05
_SHELLS: Final = frozenset(("sh", "bash", "dash", "ash", "ksh", "mksh", "zsh", "ssh"))


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRun:
    """How a command ended. exit_code: negative for a signal. output: the end of what it printed, to either stream.

    duration_ns: by a clock that nobody sets.
    """

    exit_code: int
    timed_out: bool
    started_ns: int
    ended_ns: int
    duration_ns: int
    output: str

    @property
    def ok(self) -> bool:
        """Whether it did what it was for."""
        return self.exit_code == 0 and not self.timed_out


def run_command(
    command: Sequence[str],
    environ: Mapping[str, str],
    *,
    folder: str,
    timeout_s: float,
    kept_bytes: int,
    keep_background: bool,
    on_wait: Callable[[], None],
) -> CommandRun:
    """Run a command in a folder to its end; `on_wait` is called all the while, and ends the command by raising.

    environ: all that the command gets of one. keep_background: what a command that ended by itself has left in the
    background stays; it may have started a service.

    Raises:
        OSError: the command cannot be started.
    """
    started_ns, began_ns = time.time_ns(), time.monotonic_ns()
    with tempfile.TemporaryFile() as printed:
        process = subprocess.Popen(
            list(command),
            cwd=folder,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        timed_out = True
        try:
            timed_out = not _ended(process, timeout_s, on_wait)
        finally:
            if timed_out or not keep_background:
                _kill_group(process.pid)
            process.wait()
        output = tail_of(printed, kept_bytes)
    return CommandRun(
        exit_code=process.returncode,
        timed_out=timed_out,
        started_ns=started_ns,
        ended_ns=time.time_ns(),
        duration_ns=time.monotonic_ns() - began_ns,
        output=output,
    )


async def start_command(
    command: Sequence[str],
    environ: Mapping[str, str],
    *,
    stdin: int,
    stdout: int | IO[bytes],
    stderr: int | IO[bytes],
) -> Process:
    """Start a command whose input or output the caller handles; `end_command` must follow.

    Raises:
        OSError: the command cannot be started.
    """
    return await asyncio.create_subprocess_exec(
        *command, stdin=stdin, stdout=stdout, stderr=stderr, env=dict(environ), start_new_session=True
    )


async def end_command(process: Process) -> None:
    """Kill a command that has not ended, with all that it has started."""
    if process.returncode is None:
        _kill_group(process.pid)
        await process.wait()


def is_blind_pipeline(command: Sequence[str]) -> bool:
    """Whether a shell, here or behind ssh, runs a pipeline of whose parts only the last one's failure shows."""
    if not any(os.path.basename(word) in _SHELLS for word in command) or any(
        "pipefail" in w for w in command
    ):
        return False
    for script in command:
        try:
            words = list(shlex.shlex(script, posix=True, punctuation_chars=True))
        except ValueError:
            continue
        if "|" in words or "|&" in words:
            return True
    return False


def tail_of(printed: BinaryIO, kept_bytes: int) -> str:
    """The end of what was printed to a file."""
    size = printed.seek(0, os.SEEK_END)
    printed.seek(max(0, size - kept_bytes))
    return printed.read().decode(errors="backslashreplace")


def _ended(process: "subprocess.Popen[bytes]", timeout_s: float, on_wait: Callable[[], None]) -> bool:
    give_up_at = time.monotonic() + timeout_s
    while True:
        on_wait()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_POLL_S)
            return True
        if time.monotonic() >= give_up_at:
            return False


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
