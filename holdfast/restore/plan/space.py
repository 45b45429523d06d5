"""Asks, before anything is written, whether the target has room.

Asked once per run: a run that is resumed has written a part already, and its plan still counts the whole. Where there
is room for everything that the snapshot holds, there is for any part of it, and nobody has to wait for the plan.
"""

import os

from holdfast.errors import StorageFullError
from holdfast.restore.documents import SPACE, Opening
from holdfast.restore.run import RestoreRun

RESERVE_BYTES = 16 * 1024 * 1024
_UNTOLD_BYTES = 1 << 62


def has_room(run: RestoreRun, opening: Opening) -> bool:
    """Whether the check is passed before there is a plan; then it stands as passed."""
    if run.options.dry_run:
        return False
    if run.workspace.get(SPACE) is not None:
        return True
    whole = opening.whole_bytes
    if whole is None or whole + RESERVE_BYTES > free_bytes(opening.target):
        return False
    run.workspace.put_new(SPACE, b"passed")
    return True


def check_space(run: RestoreRun, needed_bytes: int) -> None:
    """Refuse a restore that cannot fit; once it has passed, later calls of the same run pass too.

    Raises:
        StorageFullError: says how much is needed and how much is free.
        RunClosedError: the run was not opened, or is over.
    """
    if run.options.dry_run or run.workspace.get(SPACE) is not None:
        return
    free = free_bytes(run.opening.target)
    if needed_bytes + RESERVE_BYTES > free:
        raise StorageFullError(
            f"the restore needs {needed_bytes:,} bytes, but only {free:,} are free at its target",
            hint="Make room there, restore less (--include), or choose another --target.",
        )
    run.workspace.put_new(SPACE, b"passed")


def free_bytes(target: bytes) -> int:
    """What an unprivileged or privileged writer, as we are, may still write at `target` or its nearest parent.

    A file system that tells no size at all (ramfs, some of a network) is not full: writing will tell.
    """
    path = target
    while True:
        try:
            status = os.statvfs(path)
        except (FileNotFoundError, NotADirectoryError):
            path = os.path.dirname(path) or b"/"
            continue
        if not status.f_blocks:
            return _UNTOLD_BYTES
        blocks = status.f_bfree if os.geteuid() == 0 else status.f_bavail
        return blocks * status.f_frsize
