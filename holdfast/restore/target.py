"""The directory that a restore goes into: opened by the path that the person gave, and looked at by descriptor."""

import os
import stat

from holdfast.errors import TargetError
from holdfast.format.tree import Node
from holdfast.repository.companion import own_directories
from holdfast.restore.documents import Kept
from holdfast.restore.run import RestoreRun
from holdfast.safe_fs.directories import DIRECTORY_FLAGS, Directories
from holdfast.terms import Overwrite

ROOT_FLAGS = DIRECTORY_FLAGS & ~os.O_NOFOLLOW


def is_there(target: bytes) -> bool:
    """Whether there is a target directory yet.

    Raises:
        TargetError: it is no directory, or we may not look into it.
    """
    try:
        os.scandir(target).close()
    except FileNotFoundError:
        return False
    except NotADirectoryError as error:
        raise TargetError(
            f"the restore target {os.fsdecode(target)!r} is not a directory", hint="Name another --target."
        ) from error
    except PermissionError as error:
        # A directory that only leads to what is restored need not be read.
        if not os.path.isdir(target) or not os.access(target, os.X_OK):
            raise _unusable(target, error) from error
    except OSError as error:
        raise _unusable(target, error) from error
    return True


def _unusable(target: bytes, error: OSError) -> TargetError:
    return TargetError(f"the restore target {os.fsdecode(target)!r} cannot be used: {error.strerror}")


def kept_of(status: os.stat_result) -> Kept:
    """What a directory keeps that only leads to what is restored."""
    return Kept(stat.S_IMODE(status.st_mode), status.st_mtime_ns, status.st_atime_ns)


def kept_of_target(target: bytes) -> Kept | None:
    """The same of the target; None where there is none yet."""
    try:
        return kept_of(os.stat(target))
    except OSError:
        return None


def open_target(target: bytes) -> Directories | None:
    """The target's directories; None when it does not exist. Links in the given path itself are followed.

    Raises:
        TargetError: it cannot be opened.
    """
    try:
        try:
            return Directories(os.open(target, ROOT_FLAGS))
        except PermissionError:
            return Directories(os.open(target, ROOT_FLAGS | os.O_PATH))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(target, error) from error


def make_target(target: bytes) -> Directories:
    """The target's directories; it is created where it is missing.

    Raises:
        TargetError: it cannot be created.
    """
    try:
        os.makedirs(target, mode=0o700, exist_ok=True)
    except OSError as error:
        raise TargetError(
            f"the restore target {os.fsdecode(target)!r} cannot be created: {error.strerror}"
        ) from error
    opened = open_target(target)
    if opened is None:
        raise TargetError(f"the restore target {os.fsdecode(target)!r} vanished")
    return opened


def protected_directories(run: RestoreRun) -> frozenset[tuple[int, int]]:
    """Device and inode of what `delete` must never remove: the repository that we restore from."""
    return own_directories(run.held.repository)


def look(directories: Directories, directory: bytes, name: bytes) -> os.stat_result | None:
    """What is at a path, links not followed; None when nothing is."""
    try:
        return os.stat(name, dir_fd=directories.open(directory).fd, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return None


def may_overwrite(rule: Overwrite, node: Node, present: os.stat_result) -> bool:
    """Whether the rule lets `node` take the place of what is present."""
    if rule is Overwrite.NEVER:
        return False
    if rule is Overwrite.IF_NEWER:
        return node.mtime_ns > present.st_mtime_ns
    return True


def looks_equal(node: Node, present: os.stat_result) -> bool:
    """Whether a file on disk has the snapshot's size and modification time."""
    return (
        stat.S_ISREG(present.st_mode)
        and present.st_size == node.size
        and present.st_mtime_ns == node.mtime_ns
    )
