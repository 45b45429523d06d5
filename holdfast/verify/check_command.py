"""The user's own check of what a trial restore has brought back: a command of the worker's settings.

It runs without a shell in the restored tree, with an environment of a few harmless variables, in a process group of
its own that ends with it. Its exit code is the answer; the last of its output is kept. It may be run twice, when the
worker died.
"""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from holdfast.errors import SettingsError
from holdfast.settings.drills import split_check

MAX_OUTPUT_BYTES: Final = 16 * 1024
_POLL_S: Final = 0.05
_PASSED_ON: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
DIRECTORY_VARIABLE: Final = "HOLDFAST_DRILL_DIR"
SNAPSHOT_VARIABLE: Final = "HOLDFAST_DRILL_SNAPSHOT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """How a check ended. exit_code: negative for a signal. output: the end of what it printed, to either stream."""

    exit_code: int
    timed_out: bool
    duration_ns: int
    output: str

    @property
    def ok(self) -> bool:
        """Whether the check is content."""
        return self.exit_code == 0 and not self.timed_out


def run_check(
    command: str,
    folder: Path,
    *,
    snapshot: str,
    environ: Mapping[str, str],
    timeout_s: float,
    on_wait: Callable[[], None],
) -> Checked:
    """Run the check in `folder`; `on_wait` is called all the while, and ends the check by raising.

    Raises:
        SettingsError: the command cannot be started.
    """
    words = split_check(command)
    own = {name: environ[name] for name in _PASSED_ON if name in environ}
    own |= {DIRECTORY_VARIABLE: str(folder), SNAPSHOT_VARIABLE: snapshot}
    began_ns = time.monotonic_ns()
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                words,
                cwd=folder,
                env=own,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise SettingsError(
                f"the check command {words[0]!r} cannot be started: {error.strerror}",
                hint="Give its full path; it is run without a shell.",
            ) from error
        try:
            timed_out = not _ended(process, timeout_s, on_wait)
        finally:
            # Also what it has left in the background: the tree is about to be removed.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        size = output.seek(0, os.SEEK_END)
        output.seek(max(0, size - MAX_OUTPUT_BYTES))
        text = output.read().decode(errors="backslashreplace")
    return Checked(
        exit_code=process.returncode,
        timed_out=timed_out,
        duration_ns=time.monotonic_ns() - began_ns,
        output=text,
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
