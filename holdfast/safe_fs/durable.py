"""Makes many new files durable at a price that does not grow with their number.

Flushing each of a thousand small files by itself costs about a millisecond apiece; one syncfs over the file system
costs what the disk needs for their bytes. Where syncfs is not known to reach the disk (network and FUSE file systems)
every file is flushed by itself before it is closed.

A flush that failed is never repeated on the same file: the kernel may have dropped the dirty pages and report success
the second time. The error goes up, and the next attempt writes new files.
"""

import ctypes
import fcntl
import os
from typing import Final

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_STATFS_BYTES: Final = 256
_SYNC_FILE_RANGE_WRITE: Final = 2
_SYNCFS_REACHES_DISK: Final = frozenset(
    (
        0xEF53,  # ext2, ext3, ext4
        0x58465342,  # xfs
        0x9123683E,  # btrfs
        0x2FC12FC1,  # zfs
        0xF2F52010,  # f2fs
        0xCA451A4E,  # bcachefs
        0x01021994,  # tmpfs: there is no disk
        0x858458F6,  # ramfs
        0x794C7630,  # overlayfs: hands it on to its upper layer
    )
)


def syncfs(fd: int) -> None:
    """Write everything of the file system that `fd` lies on to the disk.

    Raises:
        OSError: writing back failed since `fd` was opened.
    """
    if _LIBC.syncfs(fd):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def start_writing_back(fd: int, offset: int, length: int) -> None:
    """Have the kernel begin to write a stretch to the disk, so that a later flush finds little left to do.

    Promises nothing, so nothing that goes wrong here matters: the flush tells.
    """
    _LIBC.sync_file_range(fd, ctypes.c_int64(offset), ctypes.c_int64(length), _SYNC_FILE_RANGE_WRITE)


def file_system_type(fd: int) -> int:
    """The magic number that statfs(2) tells."""
    buffer = ctypes.create_string_buffer(_STATFS_BYTES)
    if _LIBC.fstatfs(fd, buffer):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return ctypes.c_ulong.from_buffer(buffer).value


def only_leads_on(directory: int) -> bool:
    """Whether a descriptor was opened for a directory that may be searched but not read."""
    return bool(fcntl.fcntl(directory, fcntl.F_GETFL) & os.O_PATH)


class FileSystems:
    """The file systems that a batch of new files lies on; knows which of them can be flushed as a whole."""

    def __init__(self) -> None:
        self._whole: dict[int, bool] = {}
        self._open: dict[int, int] = {}
        self._has_blind_spot = False

    def touch(self, directory: int, device: int) -> None:
        """Something was created or renamed in `directory`, which is on `device`."""
        if device not in self._open:
            if only_leads_on(directory):
                # Neither it nor, through it, its file system can be flushed.
                self._whole[device] = False
                self._has_blind_spot = True
                return
            if device not in self._whole:
                self._whole[device] = file_system_type(directory) in _SYNCFS_REACHES_DISK
            self._open[device] = os.dup(directory)

    def finish_file(self, fd: int, device: int) -> None:
        """Called for each new file before it is closed: flushes it unless `flush` will."""
        if not self._whole.get(device, False):
            os.fsync(fd)

    def flush(self) -> None:
        """Make every file and name durable that was touched since the last flush; may be called from another thread.

        On file systems without a trustworthy syncfs the directories were flushed by `finish_directory`.
        """
        for device, directory in tuple(self._open.items()):
            if self._whole[device]:
                syncfs(directory)
        if self._has_blind_spot:
            os.sync()

    def finish_directory(self, directory: int, device: int) -> None:
        """Called for each directory that got new names: flushes it unless `flush` will."""
        if not self._whole.get(device, False) and not only_leads_on(directory):
            os.fsync(directory)

    def close(self) -> None:
        """Let go of the descriptors."""
        for directory in self._open.values():
            os.close(directory)
        self._open.clear()
