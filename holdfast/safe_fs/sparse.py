"""Writing bytes so that runs of zeros stay holes, and copying what another file has already.

All targets are new files that get their full size at the latest when they are completed, so whatever is not written
reads as zeros.
"""

import errno
import os
from typing import Final

PAGE_BYTES: Final = 4096
SHORTEST_HOLE_BYTES: Final = 16 * 1024
_PAGE: Final = bytes(PAGE_BYTES)
_RUN: Final = bytes(SHORTEST_HOLE_BYTES)
_COPY_STEP_BYTES: Final = 64 * 1024 * 1024
_PLAIN_STEP_BYTES: Final = 1024 * 1024
_NO_KERNEL_COPY: Final = {errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}


def write_all(fd: int, data: bytes | memoryview, offset: int) -> None:
    """pwrite until everything is written; the kernel may take less at a time."""
    written = os.pwrite(fd, data, offset)
    if written == len(data):
        return
    rest = memoryview(data)
    while written < len(data):
        written += os.pwrite(fd, rest[written:], offset + written)


def write_sparse(fd: int, data: bytes | memoryview, offset: int) -> int:
    """Write `data` at `offset` without its runs of zeros; returns the bytes that were written."""
    runs = data_runs(data, offset)
    if len(runs) == 1 and runs[0] == (0, len(data)):
        write_all(fd, data, offset)
        return len(data)
    view = memoryview(data)
    for start, end in runs:
        write_all(fd, view[start:end], offset + start)
    return sum(end - start for start, end in runs)


def data_runs(data: bytes | memoryview, offset: int) -> list[tuple[int, int]]:
    """The stretches of `data` (start, end) that are worth writing, when it goes to `offset` of a file of zeros.

    A hole is found if it covers a block of SHORTEST_HOLE_BYTES that is aligned in the file, and is then widened page
    by page; looking at one byte per block is what makes this free for ordinary data.
    """
    runs: list[tuple[int, int]] = []
    start = 0
    position = -offset % SHORTEST_HOLE_BYTES
    size = len(data)
    while position < size:
        if data[position] or data[position : position + SHORTEST_HOLE_BYTES] != _RUN[: size - position]:
            position += SHORTEST_HOLE_BYTES
            continue
        hole = _widen_left(data, start, position)
        position = _zeros_end(data, position)
        if hole > start:
            runs.append((start, hole))
        start = position
        position += -(offset + position) % SHORTEST_HOLE_BYTES
    if start < size:
        runs.append((start, size))
    return runs


def _widen_left(data: bytes | memoryview, start: int, hole: int) -> int:
    while hole - PAGE_BYTES >= start and data[hole - PAGE_BYTES : hole] == _PAGE:
        hole -= PAGE_BYTES
    if 0 < hole - start < PAGE_BYTES and data[start:hole] == _PAGE[: hole - start]:
        return start
    return hole


def _zeros_end(data: bytes | memoryview, position: int) -> int:
    size = len(data)
    for step, zeros in ((SHORTEST_HOLE_BYTES, _RUN), (PAGE_BYTES, _PAGE)):
        while position < size and data[position : position + step] == zeros[: size - position]:
            position = min(size, position + step)
    return position


def copy_range(source: int, target: int, offset: int, length: int) -> None:
    """Copy a stretch to the same place in another file, inside the kernel (sharing blocks) where that is possible.

    A source that ends early leaves zeros behind; what relies on the content has compared it by hash.
    """
    end = offset + length
    while offset < end:
        start, stop = _next_data(source, offset, end)
        if start >= end:
            return
        try:
            copied = os.copy_file_range(source, target, min(_COPY_STEP_BYTES, stop - start), start, start)
        except OSError as error:
            if error.errno not in _NO_KERNEL_COPY:
                raise
            _copy_plainly(source, target, start, end)
            return
        if not copied:
            return
        offset = start + copied


def _next_data(fd: int, offset: int, end: int) -> tuple[int, int]:
    """The first stretch of data in [offset, end), as the file system knows it; holes are not worth copying."""
    try:
        start = os.lseek(fd, offset, os.SEEK_DATA)
        return start, min(end, os.lseek(fd, start, os.SEEK_HOLE))
    except OSError as error:
        if error.errno == errno.ENXIO:
            return end, end
        if error.errno in (errno.EINVAL, errno.EOPNOTSUPP):
            return offset, end
        raise


def _copy_plainly(source: int, target: int, offset: int, end: int) -> None:
    while offset < end:
        data = os.pread(source, min(_PLAIN_STEP_BYTES, end - offset), offset)
        if not data:
            return
        write_sparse(target, data, offset)
        offset += len(data)


def is_hole(fd: int, offset: int, length: int) -> bool:
    """Whether the file system knows that nothing is stored in this stretch (it then reads as zeros).

    Moves the descriptor's position: not for descriptors that are read from with `read`.
    """
    try:
        return os.lseek(fd, offset, os.SEEK_DATA) >= offset + length
    except OSError as error:
        if error.errno == errno.ENXIO:
            return True
        if error.errno in (errno.EINVAL, errno.EOPNOTSUPP):
            return False
        raise
