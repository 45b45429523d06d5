"""New files under temporary names, and the step that gives them their final one.

A temporary name is `.holdfast-<run>-<number>-<attempt>` in the directory of the final one. The attempt's part keeps a
frozen attempt that wakes up late from renaming what its successor has not finished:

    1. attempt A writes its temporary file and is frozen before the rename;
    2. attempt B takes over, writes a file of its own and is in the middle of it;
    3. A wakes up and renames: its own file, which is whole. With a shared name it would be B's, which is not.

Nothing here follows a link: names are single components below an open directory.
"""

import contextlib
import errno
import hashlib
import os
import stat
from typing import Final

PREFIX: Final = b".holdfast-"
_RUN_DIGITS: Final = 8
_CREATE_FLAGS: Final = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


def run_mark(run_id: str) -> bytes:
    """The eight characters that stand for a run in its temporary names."""
    return hashlib.sha256(run_id.encode()).hexdigest()[:_RUN_DIGITS].encode()


def temporary_name(mark: bytes, number: int, token: bytes) -> bytes:
    """The temporary name of file `number` of a run, as one attempt uses it."""
    return b"%b%b-%d-%b" % (PREFIX, mark, number, token)


def is_temporary(name: bytes, mark: bytes) -> bool:
    """Whether `name` is a temporary name of this run."""
    return name.startswith(PREFIX + mark + b"-")


def create(parent: int, name: bytes, mode: int = 0o600) -> int:
    """A new empty file, for reading and writing. Never one that exists.

    mode: the permissions that it may have from the start (less the umask); by default nobody else can read it.
    """
    return os.open(name, _CREATE_FLAGS, mode, dir_fd=parent)


def open_existing(parent: int, name: bytes, flags: int = os.O_RDONLY) -> int:
    """Open what is there, if it is a regular file; never waits for a fifo, never follows a link.

    Raises:
        OSError: ELOOP for a symbolic link, EINVAL for anything else that is no regular file.
    """
    fd = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY, dir_fd=parent)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a regular file")
    return fd


def publish(parent: int, temporary: bytes, name: bytes) -> None:
    """Rename over `name`, whatever non-directory is there; an empty directory makes room.

    Raises:
        OSError: ENOTEMPTY when a directory with entries is in the way.
    """
    try:
        os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
    except IsADirectoryError:
        os.rmdir(name, dir_fd=parent)
        os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)


def discard(parent: int, temporary: bytes) -> None:
    """Remove a temporary file; it may be gone already."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=parent)


def sweep(parent: int, mark: bytes) -> int:
    """Remove the temporary files that earlier attempts of a run left in a directory; returns how many."""
    removed = 0
    with os.scandir(parent) as entries:
        names = [os.fsencode(entry.name) for entry in entries]
    for name in names:
        if is_temporary(name, mark):
            discard(parent, name)
            removed += 1
    return removed
