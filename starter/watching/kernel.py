"""The kernel's word on what changes in trees of directories: one inotify instance, with a watch on each directory.

Links are not followed, and a directory that cannot be read costs only itself. What is not wanted is not watched: each
watch is kernel memory, and there is a limit on them. A directory that appears is watched from then on; what was put
into it before is not told, but its own appearance is.
Source: inotify(7).
"""

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Callable, Iterator
from typing import Final

_MODIFY, _ATTRIB, _CLOSE_WRITE = 0x002, 0x004, 0x008
_MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x040, 0x080, 0x100, 0x200
_ONLYDIR, _DONT_FOLLOW, _EXCL_UNLINK = 0x01000000, 0x02000000, 0x04000000
_OVERFLOW, _IGNORED, _ISDIR = 0x4000, 0x8000, 0x40000000
_WATCHED: Final = (_MODIFY | _ATTRIB | _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE) | (
    _ONLYDIR | _DONT_FOLLOW | _EXCL_UNLINK
)
_NONBLOCK, _CLOEXEC = os.O_NONBLOCK, os.O_CLOEXEC
_HEADER: Final = struct.Struct("iIII")
_BUFFER_BYTES: Final = 1 << 18
_LIBC: Final = ctypes.CDLL(None, use_errno=True)

Wanted = Callable[[bytes, os.stat_result], bool]
"""Whether to watch below this directory."""


class WatchLimitError(Exception):
    """The kernel gives this user no more inotify watches, or instances. setting: that of sysctl which says how many."""

    def __init__(self, setting: str) -> None:
        super().__init__(setting)
        self.setting = setting


class TreeWatch:
    """Watches over some roots. All but `close` blocks, and belongs into one thread."""

    def __init__(self, wanted: Wanted) -> None:
        """Wanted: asked for each directory but the roots.

        Raises:
            WatchLimitError: this user has as many instances as may be.
        """
        self._wanted = wanted
        self.fd = _LIBC.inotify_init1(_NONBLOCK | _CLOEXEC)
        if self.fd < 0:
            raise _limit(ctypes.get_errno(), "fs.inotify.max_user_instances")
        self._paths: dict[int, bytes] = {}
        self._only: dict[bytes, set[bytes]] = {}
        """Of directories that hold a root which is none: the names that count."""
        self.unread = 0
        """Directories that could not be watched."""

    def close(self) -> None:
        """Give all watches back."""
        os.close(self.fd)

    def add_root(self, root: bytes) -> None:
        """Watch a root: a directory with all below it, or anything else by its name.

        Raises:
            FileNotFoundError: it is not there.
            WatchLimitError: there are no more watches.
        """
        if stat.S_ISDIR(os.lstat(root).st_mode):
            self._add_tree(root)
            return
        folder = os.path.dirname(root)
        if self._add(folder):
            self._only.setdefault(folder, set()).add(os.path.basename(root))

    def take(self) -> tuple[set[bytes], bool]:
        """The paths of what has changed, and whether the kernel has kept all of it: if not, all is to be watched again.

        Raises:
            WatchLimitError: a directory has appeared for which there is no watch.
        """
        found: set[bytes] = set()
        while True:
            try:
                block = os.read(self.fd, _BUFFER_BYTES)
            except BlockingIOError:
                return found, True
            for watch, mask, name in _events(block):
                if mask & _OVERFLOW:
                    return found, False
                folder = self._paths.get(watch)
                if mask & _IGNORED:
                    self._paths.pop(watch, None)
                elif folder is not None:
                    self._event(folder, mask, name, found)

    def _event(self, folder: bytes, mask: int, name: bytes, found: set[bytes]) -> None:
        if not name:
            if mask & _ATTRIB:
                found.add(folder)
            return
        only = self._only.get(folder)
        if only is not None and name not in only:
            return
        path = os.path.join(folder, name)
        found.add(path)
        if only is None and mask & _ISDIR:
            if mask & _MOVED_FROM:
                self._forget(path)
            if mask & (_CREATE | _MOVED_TO):
                self._appeared(path)

    def _appeared(self, path: bytes) -> None:
        try:
            status = os.lstat(path)
        except OSError:
            return
        if stat.S_ISDIR(status.st_mode) and self._wanted(path, status):
            self._add_tree(path)

    def _forget(self, path: bytes) -> None:
        """A directory was moved away: where to, nobody knows yet."""
        below = path + b"/"
        for watch, other in list(self._paths.items()):
            if other == path or other.startswith(below):
                del self._paths[watch]
                _LIBC.inotify_rm_watch(self.fd, watch)

    def _add_tree(self, root: bytes) -> None:
        pending = [root]
        while pending:
            folder = pending.pop()
            # Watched before it is listed: what appears between the two is in the list or told.
            if not self._add(folder):
                continue
            try:
                with os.scandir(folder) as listing:
                    pending.extend(
                        entry.path
                        for entry in listing
                        if entry.is_dir(follow_symlinks=False)
                        and self._wanted(entry.path, entry.stat(follow_symlinks=False))
                    )
            except OSError:
                self.unread += 1

    def _add(self, folder: bytes) -> bool:
        watch = _LIBC.inotify_add_watch(self.fd, folder, _WATCHED)
        if watch < 0:
            number = ctypes.get_errno()
            if number in {errno.ENOSPC, errno.ENOMEM}:
                raise WatchLimitError("fs.inotify.max_user_watches")
            self.unread += number not in {errno.ENOENT, errno.ENOTDIR}
            return False
        self._paths[watch] = folder
        return True


def _limit(number: int, setting: str) -> Exception:
    return WatchLimitError(setting) if number == errno.EMFILE else OSError(number, os.strerror(number))


def _events(block: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Watch, mask and name of each event."""
    position = 0
    while position < len(block):
        watch, mask, _, length = _HEADER.unpack_from(block, position)
        position += _HEADER.size
        yield watch, mask, block[position : position + length].rstrip(b"\0")
        position += length
