"""Each lock of this host's processes leaves a note here, so that the dead ones are known without asking.

A process that is killed leaves its lock behind, and its run, which ends later, is to remove it. To look for such locks
in the repository is a listing and a request for each lock that is there, at the end of every run, mostly for nothing.
The notes say the same. They are hints: nothing is flushed, one that is not there leaves its lock to the next process
that takes one (lock_files.py), and one too many has a lock removed that is not there.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from holdfast.ids import LockId, from_hex, is_hex_id, to_hex
from holdfast.repository.identity import is_gone, started_at, this_place


class LockNotes:
    """The notes about the locks of one repository, a file each: its name is the lock's id, its text the process."""

    def __init__(self, folder: Path) -> None:
        """folder: of this repository alone; made when it is needed."""
        self._folder = folder

    def keep(self, lock_id: LockId) -> None:
        """Note a lock that this process has written."""
        pid, place = os.getpid(), this_place()
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._path(lock_id).write_text(f"{pid} {started_at(pid) or 0} {place}", encoding="ascii")

    def drop(self, lock_id: LockId) -> None:
        """The lock is no more."""
        with contextlib.suppress(OSError):
            self._path(lock_id).unlink(missing_ok=True)

    def of_dead(self) -> Iterator[LockId]:
        """The locks of processes that have certainly ended."""
        with contextlib.suppress(OSError):
            for name in os.listdir(self._folder):
                if is_hex_id(name) and self._is_dead(name):
                    yield LockId(from_hex(name))

    def _is_dead(self, name: str) -> bool:
        try:
            pid, started, place = (self._folder / name).read_text(encoding="ascii").split(" ")
            return is_gone(place, int(pid), int(started))
        except (OSError, ValueError):
            return False  # it is being written, or has just gone

    def _path(self, lock_id: LockId) -> Path:
        return self._folder / to_hex(lock_id)
