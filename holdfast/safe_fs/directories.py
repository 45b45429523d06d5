"""Directories below a root, opened without ever following a link, and kept open while they are in use.

Every path is relative to the root's descriptor, in bytes, without a slash at either end; the root itself is b"".
Whatever the tree looks like meanwhile, an operation reaches what is beneath the root or fails: the kernel resolves
(openat2), and a link put in place of a directory is refused. The exceptions are named one by one (`follow`): links that
lead to the place of a restore, which their owner has put there before.

A directory that may be searched but not read (0711) is held by a descriptor that only leads on (O_PATH).

A `Directories` belongs to one thread. Handles stay valid until `CAPACITY` other directories were asked for.
"""

import contextlib
import errno
import os
import stat
from collections import OrderedDict
from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Final, Self

from holdfast.errors import UnsafePathError
from holdfast.safe_fs.open import open_beneath

CAPACITY: Final = 256
NEW_DIRECTORY_MODE: Final = 0o700
DIRECTORY_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DEFAULT_ACL: Final = "system.posix_acl_default"
_LINK_ERRORS: Final = {errno.ELOOP, errno.EXDEV}
_PATH_FLAGS: Final = DIRECTORY_FLAGS | os.O_PATH
_NOWHERE: Final[frozenset[bytes]] = frozenset()


@dataclass(frozen=True, slots=True)
class Directory:
    """An open directory and the device it lies on. has_default_acl: new entries inherit access rules from it.

    The descriptor of one that may not be read only leads on: it cannot be listed or flushed.
    """

    fd: int
    device: int
    has_default_acl: bool = False

    @classmethod
    def of(cls, fd: int) -> "Directory":
        """What there is to know of an open directory."""
        try:
            os.getxattr(fd, _DEFAULT_ACL)
        except OSError:
            return cls(fd, os.fstat(fd).st_dev)
        return cls(fd, os.fstat(fd).st_dev, has_default_acl=True)


def split(path: bytes) -> tuple[bytes, bytes]:
    """The parent's path and the last name."""
    parent, _, name = path.rpartition(b"/")
    return parent, name


def join(parent: bytes, name: bytes) -> bytes:
    """The path of `name` in `parent`."""
    return parent + b"/" + name if parent else name


class Directories:
    """A bounded set of open directories below a root; closes what was not used for longest."""

    def __init__(self, root: int) -> None:
        """Takes over `root`, a descriptor of the root directory, and closes it at the end."""
        self._root = Directory.of(root)
        self._open: OrderedDict[bytes, Directory] = OrderedDict()
        self._is_superuser = os.geteuid() == 0
        self._followed: set[bytes] = set()
        # What was asked for last is asked for again, file after file. It is the newest of _open.
        self._last_path = b""
        self._last = self._root

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close everything, the root too."""
        self.forget()
        os.close(self._root.fd)

    def forget(self) -> None:
        """Close everything but the root: names may have changed."""
        for directory in self._open.values():
            os.close(directory.fd)
        self._open.clear()
        self._last_path, self._last = b"", self._root

    def open(self, path: bytes) -> Directory:
        """The directory at `path`.

        Raises:
            FileNotFoundError: there is nothing.
            NotADirectoryError: something else is in the way, on the way or at the end.
            UnsafePathError: a link is in the way, or the path would lead out of the root.
        """
        known = self._recall(path)
        if known is not None:
            return known
        parent, name = split(path)
        if path in self._followed:
            return self._keep(path, _open_link(self.open(parent).fd, name))
        start = self._recall(parent)
        if start is None:
            return self._keep(path, self._open_beneath(path))
        return self._keep(path, _open_child(start.fd, name))

    def make(self, path: bytes, replaceable: Container[bytes] = _NOWHERE) -> Directory:
        """The directory at `path`, created with its parents where they are missing (mode 0700).

        replaceable: paths where a non-directory may be removed to make room.

        Raises:
            NotADirectoryError, UnsafePathError: as in `open`.
        """
        known = self._recall(path)
        if known is not None:
            return self._usable(known)
        parent, name = split(path)
        start = self._recall(parent)
        if start is not None and path not in self._followed:
            return self._make_child(start, name, path, replaceable)
        try:
            return self._usable(self.open(path))
        except FileNotFoundError:
            pass
        except (NotADirectoryError, UnsafePathError):
            if replaceable is _NOWHERE:
                raise
        position = 0
        current = self._root
        while position <= len(path):
            end = path.find(b"/", position)
            end = len(path) if end < 0 else end
            prefix = path[:end]
            known = self.open(prefix) if prefix in self._followed else self._recall(prefix)
            current = known or self._make_child(current, path[position:end], prefix, replaceable)
            position = end + 1
        return current

    def follow(self, path: bytes) -> Directory:
        """Take the link at `path` for the directory that it leads to, now and later.

        Raises:
            UnsafePathError: it belongs to neither root nor this user, so it may be a trap.
            OSError: it leads to no directory.
        """
        self._followed.add(path)
        try:
            return self.open(path)
        except BaseException:
            self._followed.discard(path)
            raise

    def will_follow(self, paths: Iterable[bytes]) -> None:
        """Links that `follow` was asked for before, by another process."""
        self._followed.update(paths)

    def drop(self, path: bytes) -> None:
        """Forget one directory: it was removed or replaced."""
        directory = self._open.pop(path, None)
        if directory is not None:
            os.close(directory.fd)
        if path == self._last_path:
            self._last_path, self._last = b"", self._root

    def _recall(self, path: bytes) -> Directory | None:
        """The directory, if it is open."""
        if path == self._last_path:
            return self._last
        if not path:
            return self._root
        directory = self._open.get(path)
        if directory is not None:
            self._open.move_to_end(path)
            self._last_path, self._last = path, directory
        return directory

    def _keep(self, path: bytes, fd: int) -> Directory:
        directory = Directory.of(fd)
        self._open[path] = directory
        self._last_path, self._last = path, directory
        if len(self._open) > CAPACITY:
            _, oldest = self._open.popitem(last=False)
            os.close(oldest.fd)
        return directory

    def _open_beneath(self, path: bytes) -> int:
        base, rest = self._root.fd, path
        if self._followed:
            # Of the links that are followed, the innermost on this way is where the kernel goes on from.
            leading = max(
                (link for link in self._followed if path.startswith(link + b"/")), key=len, default=b""
            )
            if leading:
                base, rest = self.open(leading).fd, path[len(leading) + 1 :]
        try:
            try:
                return open_beneath(base, rest, DIRECTORY_FLAGS)
            except PermissionError:
                return open_beneath(base, rest, _PATH_FLAGS)
        except OSError as error:
            if error.errno in _LINK_ERRORS:
                raise UnsafePathError("a link is in the place of a directory on the way") from error
            raise

    def _make_child(
        self, parent: Directory, name: bytes, path: bytes, replaceable: Container[bytes]
    ) -> Directory:
        """Open or create one directory; three tries, because others may do the same at the same time."""
        for _ in range(3):
            try:
                return self._usable(self._keep(path, _open_child(parent.fd, name)))
            except FileNotFoundError:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, NEW_DIRECTORY_MODE, dir_fd=parent.fd)
            except (NotADirectoryError, UnsafePathError):
                if path not in replaceable:
                    raise
                _unlink_non_directory(parent.fd, name)
        return self._usable(self._keep(path, _open_child(parent.fd, name)))

    def _usable(self, directory: Directory) -> Directory:
        """Root may always write; anybody else may have taken the permission from himself (a restored 0500)."""
        if not self._is_superuser:
            status = os.fstat(directory.fd)
            missing = NEW_DIRECTORY_MODE & ~status.st_mode
            if missing and status.st_uid == os.geteuid():
                os.chmod(proc_path(directory.fd), stat.S_IMODE(status.st_mode) | NEW_DIRECTORY_MODE)
        return directory


def proc_path(fd: int) -> bytes:
    """A path to what a descriptor holds, for calls that refuse one that only leads on."""
    return b"/proc/self/fd/%d" % fd


def _open_link(parent: int, name: bytes) -> int:
    """The directory behind a link (or in its place). Only root and this user may have put the link there.

    The link is held while it is looked at, so what is followed is what was looked at.
    """
    link = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        status = os.fstat(link)
        if not stat.S_ISLNK(status.st_mode):
            return _open_child(parent, name)
        if status.st_uid not in (0, os.geteuid()):
            raise UnsafePathError("a link of another user is in the place of a directory on the way")
        target = os.readlink(b"", dir_fd=link)
    finally:
        os.close(link)
    try:
        return os.open(target, DIRECTORY_FLAGS & ~os.O_NOFOLLOW, dir_fd=parent)
    except PermissionError:
        return os.open(target, _PATH_FLAGS & ~os.O_NOFOLLOW, dir_fd=parent)


def _open_child(parent: int, name: bytes) -> int:
    try:
        try:
            return os.open(name, DIRECTORY_FLAGS, dir_fd=parent)
        except PermissionError:
            return os.open(name, _PATH_FLAGS, dir_fd=parent)
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP) and _is_link(parent, name):
            raise UnsafePathError("a link is in the place of a directory") from error
        raise


def _is_link(parent: int, name: bytes) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _unlink_non_directory(parent: int, name: bytes) -> None:
    with contextlib.suppress(FileNotFoundError, IsADirectoryError):
        os.unlink(name, dir_fd=parent)
