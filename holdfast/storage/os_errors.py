"""Errors of the operating system become errors of this program: by what a retry can do, with what to do about them."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from holdfast.errors import (
    HoldfastError,
    StorageDeniedError,
    StorageFullError,
    StorageUnavailableError,
    StoredFileMissingError,
)

_DENIED: Final = {
    errno.EACCES: "Give the user that runs this access to the directory, or run it as the owner.",
    errno.EPERM: "Look for immutable files (lsattr), or run this as the owner of the directory.",
    errno.EROFS: "The file system is mounted read-only: remount it, or use another location.",
    errno.ENOTDIR: "A part of the path is a file: look at what is there, or use another location.",
    errno.EISDIR: "A directory is where a file should be: look at what is there.",
    errno.ELOOP: "The path leads through a loop of symbolic links: use another location.",
    errno.ENAMETOOLONG: "The path is too long for the file system: use a shorter location.",
    errno.ENOTSUP: "A repository needs one or the other, so that of two writers one wins: use another file system.",
    errno.EFBIG: "Raise the limit on file sizes (ulimit -f), or use smaller packs.",
}
_FULL: Final = {
    errno.ENOSPC: "Free some space or inodes there; the run goes on from its last checkpoint.",
    errno.EDQUOT: "The disk quota is used up: raise it or free some space; the run goes on from its last checkpoint.",
}
FULL: Final = frozenset(_FULL)
"""The numbers of errors that mean: there is no room."""
_UNAVAILABLE_HINT: Final = "Look whether the disk is mounted and answers."
_UNAVAILABLE: Final = {
    **dict.fromkeys(
        (
            errno.EAGAIN,
            errno.EBUSY,
            errno.EINTR,
            errno.ENODEV,
            errno.ENXIO,
            errno.ENOMEDIUM,
            errno.EREMOTEIO,
            errno.ETIME,
            errno.ETIMEDOUT,
            errno.ENOTCONN,
            errno.ECONNABORTED,
            errno.ECONNREFUSED,
            errno.ECONNRESET,
            errno.EHOSTDOWN,
            errno.EHOSTUNREACH,
            errno.ENETDOWN,
            errno.ENETRESET,
            errno.ENETUNREACH,
            errno.ENOLINK,
            errno.EPIPE,
            errno.ESHUTDOWN,
            errno.ENOBUFS,
            errno.ENOLCK,
            errno.EDEADLK,
            errno.ECANCELED,
            errno.ETXTBSY,
            errno.EPROTO,
            errno.ENOTEMPTY,
            errno.EEXIST,
        ),
        _UNAVAILABLE_HINT,
    ),
    errno.EMFILE: "Too many open files: raise the limit (ulimit -n).",
    errno.ENFILE: "The system has too many open files.",
    errno.ENOMEM: "The system is out of memory.",
    errno.EIO: "The disk reports an error: look at the kernel's log (dmesg) and at the disk's health.",
    errno.ESTALE: "The network file system has lost the directory: mount it again.",
}
_UNKNOWN_HINT: Final = (
    "Trying again promises nothing: look at the kernel's log (dmesg), or use another location."
)


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Turn an OSError inside into a HoldfastError that names `path`."""
    try:
        yield
    except OSError as error:
        raise translate(error, path) from error


def translate(error: OSError, path: str) -> HoldfastError:
    """The HoldfastError for an OSError."""
    number = error.errno or errno.EIO
    message = f"{path}: {(error.strerror or 'input/output error').lower()}"
    if number == errno.ENOENT:
        return StoredFileMissingError(
            message, hint="It was there before: look who removes files from the repository."
        )
    if number in _DENIED:
        return StorageDeniedError(message, hint=_DENIED[number])
    if number in _FULL:
        return StorageFullError(message, hint=_FULL[number])
    if number in _UNAVAILABLE:
        return StorageUnavailableError(
            message, hint=_UNAVAILABLE[number], medium_failed=error.errno == errno.EIO
        )
    # Tried again, what nobody knows would be tried without an end.
    return StorageDeniedError(message, hint=_UNKNOWN_HINT)


def unwritable(error: OSError, what: str, *, hint: str) -> StorageDeniedError | StorageFullError:
    """The error about a place outside of a repository that cannot be written; what: the place, and what fails there."""
    kind = StorageFullError if error.errno in FULL else StorageDeniedError
    return kind(f"{what}: {error.strerror}", hint=hint)
