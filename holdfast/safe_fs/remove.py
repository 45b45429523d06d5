"""Removes a tree without following links, crossing into another file system, or recursing.

Works from a stack of paths relative to the directory that the tree is in, so depth costs neither descriptors nor
Python frames.
"""

import errno
import os
from collections.abc import Callable, Container
from dataclasses import dataclass

from holdfast.safe_fs.directories import Directories, Directory, join, split

Protected = Container[tuple[int, int]]
"""Directories, by device and inode, that no removal may go into."""


@dataclass(slots=True)
class Removed:
    """What a removal took away."""

    files: int = 0
    directories: int = 0


def remove_tree(
    parent: Directory,
    name: bytes,
    *,
    protected: Protected = (),
    on_entry: Callable[[], None] = lambda: None,
) -> Removed:
    """Remove `name`, whatever it is, with everything below it. What is gone already is fine.

    on_entry is called now and then, so that a caller can show life or stop the work by raising.

    Raises:
        OSError: something could not be removed (EXDEV: a file system is mounted below; EBUSY: a protected directory);
            the rest may be gone.
    """
    removed = Removed()
    if not _remove_if_no_directory(parent.fd, name, removed):
        with Directories(
            os.open(b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=parent.fd)
        ) as below:
            _remove_directories(below, name, parent.device, removed, protected, on_entry)
    return removed


def _remove_directories(
    below: Directories,
    top: bytes,
    device: int,
    removed: Removed,
    protected: Protected,
    on_entry: Callable[[], None],
) -> None:
    """Each directory is met twice: emptied of its files, and removed once its subdirectories are gone."""
    stack: list[tuple[bytes, bool]] = [(top, False)]
    while stack:
        path, emptied = stack.pop()
        on_entry()
        if not emptied:
            try:
                directory = below.open(path)
            except FileNotFoundError:
                continue
            if directory.device != device:
                raise OSError(errno.EXDEV, "another file system is mounted here")
            if (device, os.fstat(directory.fd).st_ino) in protected:
                raise OSError(errno.EBUSY, "this directory holds the repository itself")
            stack.append((path, True))
            stack += [(join(path, child), False) for child in _remove_files(directory.fd, removed, on_entry)]
            continue
        below.drop(path)
        above, name = split(path)
        try:
            os.rmdir(name, dir_fd=below.open(above).fd)
            removed.directories += 1
        except FileNotFoundError:
            pass


def _remove_files(fd: int, removed: Removed, on_entry: Callable[[], None]) -> list[bytes]:
    """Unlink everything but directories; returns the names of those."""
    directories: list[bytes] = []
    with os.scandir(fd) as entries:
        found = [(os.fsencode(entry.name), entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_directory in found:
        on_entry()
        if is_directory or not _remove_if_no_directory(fd, name, removed):
            directories.append(name)
    return directories


def _remove_if_no_directory(parent: int, name: bytes, removed: Removed) -> bool:
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return True
    except IsADirectoryError:
        return False
    removed.files += 1
    return True
