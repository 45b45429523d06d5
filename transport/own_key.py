"""The key of a state directory: made once, before its server starts, and never anywhere else.

A crash at any moment leaves a whole key or none:
1. the key is written under a name of its own, 0600, and flushed;
2. it is linked to its final name, unless a process was quicker, whose key then counts;
3. the folder is flushed, and the first name removed.

It is believed only if nobody else could have read or written it.
"""

import errno
import os
import secrets
import stat
from pathlib import Path
from typing import Final

from holdfast.errors import SettingsError
from holdfast.service.settings.private_files import write_durably
from holdfast.storage.durable import flush_directory, link_new
from holdfast.storage.os_errors import unwritable
from holdfast.transport.keyring import new_key_line

_MAX_BYTES: Final = 1 << 16


def ensure_key(path: Path) -> None:
    """Make the key unless there is one. The folder is there.

    Raises:
        StorageDeniedError, StorageFullError: it cannot be written.
    """
    if path.exists():
        return
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        write_durably(temporary, f"{new_key_line()}\n".encode())
        try:
            link_new(str(temporary), str(path), hard_links=True)
        except OSError as error:
            if error.errno != errno.ENOTSUP or path.exists():
                raise
            # Two first starts at once could each believe a key of its own; nothing worse, and the next start cures it.
            temporary.rename(path)
        finally:
            temporary.unlink(missing_ok=True)
        flush_directory(str(path.parent))
    except OSError as error:
        raise unwritable(
            error,
            f"the signing key {path} cannot be made",
            hint="Choose another state_dir, or correct its permissions.",
        ) from error


def read_key(path: Path) -> bytes:
    """The text of the key file.

    Raises:
        SettingsError: it is not there, or others could have read or written it.
    """
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            _check(path, os.fstat(file.fileno()))
            return file.read(_MAX_BYTES)
    except OSError as error:
        raise SettingsError(
            f"the signing key {path} cannot be read: {error.strerror}",
            hint="The service makes it, and only the user that it runs as can read it.",
        ) from error


def _check(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
        raise SettingsError(
            f"the signing key {path} is not a file of this user's own",
            hint="Run command and service as one user; if another user put it there, remove it.",
        )
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise SettingsError(
            f"the signing key {path} can be read or written by other users",
            hint="They may have it: stop the service, remove the file, and start it again, which makes another one.",
        )
