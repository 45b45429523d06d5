"""Where a file has data and where it has holes, as the file system knows it: nothing is read."""

import errno
import os
from collections.abc import Iterator


def data_extents(fd: int, size: int) -> Iterator[tuple[int, int, bool]]:
    """(offset, length, is a hole) in bytes, in order, without gaps, up to `size`.

    A file system that cannot tell gives one stretch of data. A file that is cut short meanwhile ends early.

    Raises:
        OSError: the descriptor cannot be searched.
    """
    position = 0
    while position < size:
        data = _seek(fd, position, os.SEEK_DATA, size)
        if data > position:
            yield position, min(data, size) - position, True
        if data >= size:
            return
        hole = min(_seek(fd, data, os.SEEK_HOLE, size), size)
        if hole <= data:
            yield data, size - data, False
            return
        yield data, hole - data, False
        position = hole


def _seek(fd: int, position: int, whence: int, size: int) -> int:
    try:
        return os.lseek(fd, position, whence)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return size
        if error.errno in (errno.EINVAL, errno.EOPNOTSUPP):
            return position if whence == os.SEEK_DATA else size
        raise
