"""Puts a finished temporary entry in the place of whatever has its final name."""

import errno
import os
import stat

from holdfast.safe_fs.directories import Directory
from holdfast.safe_fs.remove import Keeps, Protected, Stays, remove_tree
from holdfast.safe_fs.temporary import publish


def replace(
    parent: Directory, temporary: bytes, name: bytes, *, keeps: Keeps | None, protected: Protected
) -> None:
    """Rename over `name`. A directory that is there makes room if it is empty, or if it may be removed: when `keeps`
    is given and keeps nothing in it.

    Raises:
        OSError: ENOTEMPTY when a directory with entries is in the way, or something in it has to stay.
    """
    try:
        publish(parent.fd, temporary, name)
    except OSError:
        if keeps is None or not _is_directory(parent.fd, name):
            raise
        # First a trial: a directory that cannot go as a whole is left as it is.
        for trial in (True, False):
            removal = remove_tree(parent, name, protected=protected, keeps=keeps, trial=trial)
            for entry in removal:
                if isinstance(entry, Stays):
                    raise OSError(errno.ENOTEMPTY, f"a directory is in the way: {entry.reason}") from None
        publish(parent.fd, temporary, name)


def _is_directory(parent: int, name: bytes) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False
