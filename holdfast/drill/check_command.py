"""The user's own check of what a trial restore has brought back: a command of the worker's settings.

It runs without a shell in the restored tree, with an environment of a few harmless variables, in a process group of
its own that ends with it. Its exit code is the answer; the last of its output is kept. It may be run twice, when the
worker died.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from holdfast.commands import CommandRun, run_command
from holdfast.drill.form import split_check
from holdfast.errors import SettingsError

MAX_OUTPUT_BYTES: Final = 16 * 1024
_PASSED_ON: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
DIRECTORY_VARIABLE: Final = "HOLDFAST_DRILL_DIR"
SNAPSHOT_VARIABLE: Final = "HOLDFAST_DRILL_SNAPSHOT"


def run_check(
    command: str,
    folder: Path,
    *,
    snapshot: str,
    environ: Mapping[str, str],
    timeout_s: float,
    on_wait: Callable[[], None],
) -> CommandRun:
    """Run the check in `folder`; `on_wait` is called all the while, and ends the check by raising.

    What it has left in the background ends with it: the tree is about to be removed.

    Raises:
        SettingsError: the command cannot be started.
    """
    words = split_check(command)
    own = {name: environ[name] for name in _PASSED_ON if name in environ}
    own |= {DIRECTORY_VARIABLE: str(folder), SNAPSHOT_VARIABLE: snapshot}
    try:
        return run_command(
            words,
            own,
            folder=str(folder),
            timeout_s=timeout_s,
            kept_bytes=MAX_OUTPUT_BYTES,
            keep_background=False,
            on_wait=on_wait,
        )
    except OSError as error:
        raise SettingsError(
            f"the check command {words[0]!r} cannot be started: {error.strerror}",
            hint="Give its full path; it is run without a shell.",
        ) from error
