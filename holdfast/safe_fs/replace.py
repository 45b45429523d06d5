"""Puts a finished temporary entry in the place of whatever has its final name."""

import os
import stat

from holdfast.safe_fs.directories import Directory
from holdfast.safe_fs.remove import Protected, remove_tree
from holdfast.safe_fs.temporary import publish


def replace(
    parent: Directory, temporary: bytes, name: bytes, *, remove_directory: bool, protected: Protected
) -> None:
    """Rename over `name`. A directory that is there makes room if it is empty, or if `remove_directory` allows it.

    Raises:
        OSError: ENOTEMPTY when a directory with entries is in the way; EBUSY or EXDEV when it must not be removed.
    """
    try:
        publish(parent.fd, temporary, name)
    except OSError:
        if not remove_directory or not _is_directory(parent.fd, name):
            raise
        remove_tree(parent, name, protected=protected)
        publish(parent.fd, temporary, name)


def _is_directory(parent: int, name: bytes) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False
