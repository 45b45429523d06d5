"""Open a file of the source to read it, whatever has been put in its place since it was seen."""

import errno
import os
import stat
from typing import Final

_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
NOT_REGULAR_MESSAGE: Final = "no longer a regular file"


def open_regular_at(directory: int, name: bytes) -> int:
    """A descriptor of the regular file `name` in an open directory. Raises as `open_regular_with_status_at`."""
    return open_regular_with_status_at(directory, name)[0]


def open_regular_with_status_at(directory: int, name: bytes) -> tuple[int, os.stat_result]:
    """A descriptor of the regular file `name` in an open directory, and its status; never follows, never waits.

    The access time is left alone where the system permits that.

    Raises:
        OSError: it cannot be opened; errno EINVAL with its own words where it is no regular file any more.
    """
    try:
        fd = os.open(name, _FLAGS | os.O_NOATIME, dir_fd=directory)
    except PermissionError:
        fd = os.open(name, _FLAGS, dir_fd=directory)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise NotRegularFileError from error
        raise
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        raise NotRegularFileError
    return fd, status


class NotRegularFileError(OSError):
    """A link, a fifo or something else has taken the file's place."""

    def __init__(self) -> None:
        super().__init__(NOT_REGULAR_MESSAGE)
