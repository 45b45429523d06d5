"""Sorts what the operating system refuses: one path's misfortune, or the end of the attempt."""

import errno
from typing import Final

from holdfast.errors import HoldfastError, StorageFullError, StorageUnavailableError, TargetError
from holdfast.safe_fs.durable import FileSystems
from holdfast.storage.os_errors import FULL

_EXHAUSTED: Final = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}


def path_failure(error: OSError | HoldfastError) -> str:
    """What to record about the path that met `error`.

    Raises:
        StorageFullError: nothing more can be written at the target.
        TargetError: the target cannot be written at all.
        StorageUnavailableError: this machine is out of something; a later attempt may succeed.
        HoldfastError: anything that is not about one path.
    """
    if isinstance(error, HoldfastError):
        if error.retryable:
            raise error
        return error.message
    if error.errno in FULL:
        raise StorageFullError(
            "the restore target is full", hint="Make room there; the run goes on where it stopped."
        ) from error
    if error.errno == errno.EROFS:
        raise TargetError("the restore target is read-only") from error
    if error.errno in _EXHAUSTED:
        raise StorageUnavailableError(f"this machine is short of resources: {error.strerror}") from error
    return error.strerror or str(error)


def flush(file_systems: FileSystems) -> None:
    """Make a batch durable.

    Raises:
        StorageFullError, TargetError: as in `path_failure`.
        StorageUnavailableError: the disk refused; the next attempt writes new files instead of flushing these again.
    """
    try:
        file_systems.flush()
    except OSError as error:
        reason = path_failure(error)
        raise StorageUnavailableError(f"the restore target could not be flushed to disk: {reason}") from error
