"""Runs a hook: a command of the worker's settings, with an end and a record of what it printed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from holdfast.commands import CommandRun, run_command
from holdfast.errors import SettingsError

MAX_OUTPUT_BYTES: Final = 64 * 1024


def run_hook(
    command: Sequence[str],
    environ: Mapping[str, str],
    *,
    timeout_s: float,
    on_wait: Callable[[], None],
) -> CommandRun:
    """Run a hook to its end; `on_wait` is called all the while, and ends the hook by raising.

    What a hook that ended by itself has left in the background stays: it may have started a service.

    Raises:
        SettingsError: the command cannot be started.
    """
    try:
        return run_command(
            command,
            environ,
            folder="/",
            timeout_s=timeout_s,
            kept_bytes=MAX_OUTPUT_BYTES,
            keep_background=True,
            on_wait=on_wait,
        )
    except OSError as error:
        raise SettingsError(
            f"the command of a hook cannot be started: {error.strerror}",
            hint="Give the program's full path in `command`; it is run without a shell.",
        ) from error
