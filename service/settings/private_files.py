"""Small files of this user's own in the state directory: written so that they last, believed only if nobody else can
have written them.

What makes a file this user's is its folder as well: another user who can write there could put a file in its place.
"""

import contextlib
import os
import secrets
import stat
from pathlib import Path
from typing import Final

from holdfast.errors import StorageDeniedError
from holdfast.storage.durable import flush_directory

_OPEN_TO_OTHERS: Final = 0o077
_MAX_BYTES: Final = 1 << 30


def write_durably(path: Path, document: bytes) -> None:
    """A new file of this user's only."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(document)
        file.flush()
        os.fsync(file.fileno())


def replace_durably(path: Path, document: bytes) -> None:
    """The file of this name, new or in the place of another, whole at each moment."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        write_durably(temporary, document)
        temporary.rename(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    flush_directory(str(path.parent))


def read_own(path: Path) -> bytes:
    """The bytes of a file, if nobody but this user can have written it.

    It is opened by its folder's descriptor, so what was looked at is what is read; without waiting, because a fifo
    has no end.

    Raises:
        FileNotFoundError: there is none.
        StorageDeniedError: it, or its folder, is not this user's own and closed to others.
    """
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            _check_own(path.parent, os.fstat(folder), is_folder=True)
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(path.name, flags, dir_fd=folder)
        finally:
            os.close(folder)
        with open(descriptor, "rb") as file:
            _check_own(path, os.fstat(descriptor), is_folder=False)
            with contextlib.suppress(OSError):  # a read-only state directory still serves
                os.utime(descriptor)
            return file.read(_MAX_BYTES)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StorageDeniedError(
            f"the private file {path} cannot be read: {error.strerror}",
            hint="Run the command as the user that the worker runs as.",
        ) from error


def _check_own(path: Path, found: os.stat_result, *, is_folder: bool) -> None:
    """Refuse what another user may have put there: it may name a command that we are about to run."""
    if not (stat.S_ISDIR(found.st_mode) if is_folder else stat.S_ISREG(found.st_mode)):
        raise StorageDeniedError(f"{path} is not a regular file", hint="Look what put it there; remove it.")
    if found.st_uid != os.geteuid():
        raise StorageDeniedError(
            f"{path} belongs to another user", hint="Run the command as the user that the worker runs as."
        )
    if stat.S_IMODE(found.st_mode) & _OPEN_TO_OTHERS:
        raise StorageDeniedError(
            f"{path} is open to other users, so it may not be what was asked",
            hint=f"Look what opened it; then `chmod go= {path}`, and repeat the command.",
        )
