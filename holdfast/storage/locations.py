"""From a location as people write it to a storage with its layers.

The spelling is restic's: a path, or a kind, a colon and what the kind needs (`local:/srv/backup`).
"""

import os
import re
from pathlib import Path
from typing import Final

from holdfast.errors import UsageError
from holdfast.storage.contract import Storage
from holdfast.storage.layers.retry import Retrying
from holdfast.storage.local import LocalStorage
from holdfast.storage.os_errors import translated

_LOCAL: Final = "local:"
_KINDS_ELSEWHERE: Final = frozenset({"sftp", "rest", "s3", "swift", "b2", "azure", "gs", "rclone"})
"""What restic knows beside the local directory (internal/backend/all/all.go)."""
_KIND: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def open_storage(location: str) -> Storage:
    """The storage at a location: a path, or `local:` and a path. Nothing is read or created yet.

    Raises:
        UsageError: the location is empty, or of a kind that this program does not know. The message names the kind
            only, because what follows it may hold a password.
    """
    if location.startswith(_LOCAL):
        return _local(location.removeprefix(_LOCAL))
    kind = _KIND.match(location)
    if kind is not None and (kind[1] in _KINDS_ELSEWHERE or _URL.match(location)):
        raise UsageError(
            f"repositories at {kind[1]}: locations are not supported",
            hint="Use a local directory (or one that is mounted): /path/to/repository or local:/path.",
        )
    return _local(location)


def own_directory(storage: Storage) -> frozenset[tuple[int, int]]:
    """Device and inode of the directory in which a storage's files lie; nothing when that is not on this host."""
    directory = storage.traits.directory
    if directory is None:
        return frozenset()
    with translated(str(directory)):
        status = directory.stat()
    return frozenset({(status.st_dev, status.st_ino)})


def is_read_only(storage: Storage) -> bool:
    """Whether the medium refuses every write to everybody, as it is mounted now. What only this user may not write is
    not read-only: others may be changing it."""
    directory = storage.traits.directory
    try:
        return directory is not None and bool(os.statvfs(directory).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def _local(path: str) -> Storage:
    if not path or "\0" in path:
        raise UsageError(
            "the location of the repository is empty or no path",
            hint="Name a directory, for example /srv/backup.",
        )
    return Retrying(LocalStorage(Path(path)))
