"""What has been used up: each signed request starts one run, and never another one.

A symbolic link for each, whose name is what it uses up and which points to the id of the run that it began: it is made
in one step, with its content, for all processes of a host, and after a power loss it is whole or not there. A run that
is admitted a second time, because its worker was killed before it could say so, finds its own id.

They are kept for as long as a copy could wait for its first worker, and then removed.
"""

import contextlib
import hashlib
import os
import time
from pathlib import Path
from typing import Final

from holdfast.storage.os_errors import unwritable

_FOLDER: Final = "admitted"
_KEPT_S: Final = 7 * 86_400
_CLEAN_EVERY_S: Final = 3_600.0


class AlreadyAdmittedError(Exception):
    """It was used before, or waited for too long; the message says which."""


class Admissions:
    """Of one state directory."""

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir / _FOLDER
        self._cleaned_at: float | None = None

    def admit(self, once: str, until_s: int, run: str) -> None:
        """Use up `once` for a run. until_s: it could start a run until then, in seconds since 1970.

        Raises:
            AlreadyAdmittedError: another run has used it, or nobody can tell any more.
            StorageDeniedError, StorageFullError: the state directory cannot take it.
        """
        now_s = time.time()
        if now_s > until_s + _KEPT_S:
            raise AlreadyAdmittedError("the run waited for more than a week; ask again")
        try:
            first = self._take(once, until_s, run)
            self._clean(now_s)
        except OSError as error:
            raise unwritable(
                error,
                f"the state directory {self._folder.parent} cannot be written",
                hint="Make room there, or correct its permissions.",
            ) from error
        if first != run:
            raise AlreadyAdmittedError("what it was asked with has started a run before; ask again")

    def _take(self, once: str, until_s: int, run: str) -> str:
        """The run that has it."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{until_s}-{hashlib.sha256(once.encode()).hexdigest()[:32]}"
        try:
            path.symlink_to(run)
        except FileExistsError:
            return os.readlink(path)
        return run

    def _clean(self, now_s: float) -> None:
        """Remove those that count no more."""
        clock = time.monotonic()
        if self._cleaned_at is not None and clock - self._cleaned_at < _CLEAN_EVERY_S:
            return
        self._cleaned_at = clock
        for name in os.listdir(self._folder):
            until, _, _ = name.partition("-")
            if until.isdecimal() and int(until) + _KEPT_S < now_s:
                with contextlib.suppress(FileNotFoundError):
                    (self._folder / name).unlink()
