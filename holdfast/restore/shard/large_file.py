"""Large files: one temporary file that the segments fill, in all processes, and its completion.

The temporary file is created once per run:

    1. an attempt finds no document for the file, creates a temporary file and flushes its directory;
    2. it writes the document (create-if-absent) with name, device and inode;
    3. an attempt that loses that race removes its own file and takes the winner's;
    4. a crash between 1 and 2 leaves an empty temporary file, which the finish sweeps up.

So it is never created a second time under the same name: if it is removed, its segments are missed, and no file
with silent holes gets the final name.
"""

import os
import stat
from typing import Final

from holdfast.errors import RunStateError
from holdfast.repository.documents import decide, load
from holdfast.restore.documents import LargeFile, large_name
from holdfast.runs.workspace import Workspace
from holdfast.safe_fs.directories import Directory
from holdfast.safe_fs.temporary import create, discard, open_existing, temporary_name

_GONE: Final = "the temporary file of a large file is gone; it was removed while the restore ran"


def open_large(
    workspace: Workspace, parent: Directory, number: int, size: int, mark: bytes, token: str
) -> int:
    """The temporary file of large file `number`, for reading and writing.

    Raises:
        FileNotFoundError: it existed once and is gone.
        OSError: it cannot be created.
    """
    standing = load(workspace, large_name(number), LargeFile)
    if standing is None:
        standing = _create(workspace, parent, number, size, mark, token)
    return open_standing(parent, standing)


def open_standing(parent: Directory, standing: LargeFile) -> int:
    """The temporary file that the run's document names.

    Raises:
        FileNotFoundError: it is gone, or another file has its name.
    """
    try:
        fd = open_existing(parent.fd, standing.temporary, os.O_RDWR)
    except FileNotFoundError as error:
        raise FileNotFoundError(error.errno, _GONE) from error
    if not is_that_file(os.fstat(fd), standing):
        os.close(fd)
        raise FileNotFoundError(2, _GONE)
    return fd


def is_that_file(status: os.stat_result, standing: LargeFile) -> bool:
    """Whether this is the file that the run created."""
    return (status.st_dev, status.st_ino) == (standing.device, standing.inode) and stat.S_ISREG(
        status.st_mode
    )


def _create(
    workspace: Workspace, parent: Directory, number: int, size: int, mark: bytes, token: str
) -> LargeFile:
    name = temporary_name(mark, number, token.encode())
    fd = create(parent.fd, name)
    try:
        os.ftruncate(fd, size)
        os.fsync(fd)
        os.fsync(parent.fd)
        status = os.fstat(fd)
    finally:
        os.close(fd)
    own = LargeFile(temporary=name, device=status.st_dev, inode=status.st_ino)
    standing = decide(workspace, large_name(number), own)
    if standing != own:
        discard(parent.fd, name)
    return standing


def standing_large(workspace: Workspace, number: int) -> LargeFile:
    """The document of a large file.

    Raises:
        RunStateError: no segment has created it.
    """
    standing = load(workspace, large_name(number), LargeFile)
    if standing is None:
        raise RunStateError("a large file was never begun")
    return standing
