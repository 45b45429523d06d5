"""Runs a hook: a command of the worker's settings, without a shell, with an end and a record of what it printed."""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from holdfast.errors import SettingsError

MAX_OUTPUT_BYTES: Final = 64 * 1024
_POLL_S: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class HookOutcome:
    """How a hook ended. exit_code: negative for a signal. output: the end of what it printed, to either stream."""

    exit_code: int
    timed_out: bool
    started_ns: int
    ended_ns: int
    output: str

    @property
    def ok(self) -> bool:
        """Whether it did what it was for."""
        return self.exit_code == 0 and not self.timed_out


def run_hook(
    command: Sequence[str],
    environ: Mapping[str, str],
    *,
    timeout_s: float,
    on_wait: Callable[[], None],
) -> HookOutcome:
    """Run a hook to its end; `on_wait` is called all the while, and ends the hook by raising.

    What a hook that ended by itself has left in the background stays: it may have started a service.

    Raises:
        SettingsError: the command cannot be started.
    """
    started_ns = time.time_ns()
    with tempfile.TemporaryFile() as printed:
        try:
            process = subprocess.Popen(
                list(command),
                cwd="/",
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise SettingsError(
                f"the command of a hook cannot be started: {error.strerror}",
                hint="Give the program's full path in `command`; it is run without a shell.",
            ) from error
        timed_out = True
        try:
            timed_out = not _ended(process, timeout_s, on_wait)
        finally:
            if timed_out:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        size = printed.seek(0, os.SEEK_END)
        printed.seek(max(0, size - MAX_OUTPUT_BYTES))
        output = printed.read().decode(errors="backslashreplace")
    return HookOutcome(
        exit_code=process.returncode,
        timed_out=timed_out,
        started_ns=started_ns,
        ended_ns=time.time_ns(),
        output=output,
    )


def _ended(process: "subprocess.Popen[bytes]", timeout_s: float, on_wait: Callable[[], None]) -> bool:
    give_up_at = time.monotonic() + timeout_s
    while True:
        on_wait()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_POLL_S)
            return True
        if time.monotonic() >= give_up_at:
            return False
