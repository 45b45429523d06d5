"""Removes a tree without following links, crossing into another mount, or recursing; says what it removed.

Works from a stack of directories relative to the one that the tree is in, so depth costs neither descriptors nor Python
frames. What must stay (`keeps`), what lies on another mount and what cannot be removed stays, with the directories that
lead to it; all else goes.
"""

import os
import stat
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from typing import Final

from holdfast.safe_fs.directories import Directories, Directory, join, split
from holdfast.safe_fs.mounts import Mount, mount_of

Protected = Container[tuple[int, int]]
"""Directories, by device and inode, that no removal may go into."""

Keeps = Callable[[int, bytes, os.stat_result], bool]
"""Whether an entry must stay: its directory's descriptor, its path from where the removal began, its status."""

ANOTHER_MOUNT: Final = "another file system is mounted here"
HOLDS_REPOSITORY: Final = "this directory holds the repository itself"
MUST_STAY: Final = "it was left out of the backup"
_HERE: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Gone:
    """One entry that was removed (in a trial: would be). path: from where the removal began. size: of a file."""

    path: bytes
    is_directory: bool
    size: int = 0


@dataclass(frozen=True, slots=True)
class Stays:
    """One entry that stays, and why. failed: it was to go, but the system refused."""

    path: bytes
    reason: str
    failed: bool = False


@dataclass(slots=True)
class _Level:
    """A directory that the removal is inside of. stays: something in it does, so it does too."""

    path: bytes
    status: os.stat_result | None
    names: list[tuple[bytes, os.stat_result]]
    stays: bool = False


def _keeps_nothing(_fd: int, _path: bytes, _status: os.stat_result) -> bool:
    return False


def remove_tree(
    parent: Directory,
    name: bytes,
    *,
    protected: Protected = (),
    keeps: Keeps = _keeps_nothing,
    trial: bool = False,
    on_entry: Callable[[], None] = lambda: None,
) -> Iterator[Gone | Stays]:
    """Remove `name`, whatever it is, with everything below it. What is gone already is fine. trial: only say so.

    on_entry is called now and then, so that a caller can show life or stop the work by raising.
    """
    with Directories(os.open(b".", _HERE, dir_fd=parent.fd)) as below:
        yield from _Removal(below, mount_of(parent.fd), protected, keeps, trial, on_entry).run(name)


@dataclass(slots=True)
class _Removal:
    below: Directories
    mount: Mount
    protected: Protected
    keeps: Keeps
    trial: bool
    on_entry: Callable[[], None]
    levels: list[_Level] = field(default_factory=list)

    def run(self, name: bytes) -> Iterator[Gone | Stays]:
        """The entry first, then what is in it, then it."""
        try:
            status = os.stat(name, dir_fd=self.below.open(b"").fd, follow_symlinks=False)
        except FileNotFoundError:
            return
        self.levels.append(_Level(b"", None, [(name, status)]))
        while self.levels:
            level = self.levels[-1]
            self.on_entry()
            if level.names:
                yield from self._entry(level, *level.names.pop())
                continue
            self.levels.pop()
            if not self.levels:
                return
            if level.stays:
                self.levels[-1].stays = True
            else:
                yield from self._unlink(level.path, level.status, is_directory=True)

    def _entry(self, level: _Level, name: bytes, status: os.stat_result) -> Iterator[Gone | Stays]:
        path = join(level.path, name)
        is_directory = stat.S_ISDIR(status.st_mode)
        listed: list[tuple[bytes, os.stat_result]] = []
        try:
            reason = self._reason_to_stay(level.path, path, status)
            if not reason and is_directory:
                listed = self._listed(path)
        except FileNotFoundError:
            return
        except OSError as error:
            yield self._stays(path, error.strerror or str(error), failed=True)
            return
        if reason:
            yield self._stays(path, reason)
        elif is_directory:
            self.levels.append(_Level(path, status, listed))
        else:
            yield from self._unlink(path, status, is_directory=False)

    def _reason_to_stay(self, directory: bytes, path: bytes, status: os.stat_result) -> str:
        if self.keeps(self.below.open(directory).fd, path, status):
            return MUST_STAY
        if not stat.S_ISDIR(status.st_mode):
            return ""
        if (status.st_dev, status.st_ino) in self.protected:
            return HOLDS_REPOSITORY
        return "" if mount_of(self.below.open(path).fd) == self.mount else ANOTHER_MOUNT

    def _listed(self, path: bytes) -> list[tuple[bytes, os.stat_result]]:
        with os.scandir(self.below.open(path).fd) as entries:
            found = [(os.fsencode(entry.name), entry.stat(follow_symlinks=False)) for entry in entries]
        return sorted(found, key=lambda entry: entry[0], reverse=True)

    def _unlink(
        self, path: bytes, status: os.stat_result | None, *, is_directory: bool
    ) -> Iterator[Gone | Stays]:
        directory, name = split(path)
        if not self.trial:
            try:
                if is_directory:
                    self.below.drop(path)
                    os.rmdir(name, dir_fd=self.below.open(directory).fd)
                else:
                    os.unlink(name, dir_fd=self.below.open(directory).fd)
            except FileNotFoundError:
                return
            except OSError as error:
                yield self._stays(path, error.strerror or str(error), failed=True)
                return
        is_file = status is not None and stat.S_ISREG(status.st_mode)
        yield Gone(path, is_directory, status.st_size if status is not None and is_file else 0)

    def _stays(self, path: bytes, reason: str, *, failed: bool = False) -> Stays:
        self.levels[-1].stays = True
        return Stays(path, reason, failed)
