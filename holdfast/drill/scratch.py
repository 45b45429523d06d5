"""The scratch place of a trial restore: one private folder for each run, below the worker's scratch directory."""

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from holdfast.errors import StorageDeniedError
from holdfast.safe_fs.directories import Directories
from holdfast.safe_fs.remove import Stays, remove_tree
from holdfast.storage.os_errors import unwritable

_PREFIX: Final = "drill-"
_DIGITS: Final = 16


def scratch_of(scratch_dir: Path, run_id: str) -> Path:
    """The run's folder: told by its id alone, so that every attempt finds the same."""
    return scratch_dir / f"{_PREFIX}{hashlib.sha256(run_id.encode()).hexdigest()[:_DIGITS]}"


def old_scratch(scratch_dir: Path, *, older_than_s: float) -> list[Path]:
    """The folders of drills in which nothing was made for so long; a drill that runs is not asked for here.

    Raises:
        StorageDeniedError: the scratch directory cannot be read.
    """
    horizon = time.time() - older_than_s
    try:
        return sorted(
            folder
            for folder in scratch_dir.glob(f"{_PREFIX}*")
            if folder.lstat().st_mtime <= horizon and not folder.is_symlink()
        )
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StorageDeniedError(
            f"the scratch directory {scratch_dir} cannot be read: {error.strerror}"
        ) from error


def make_scratch(folder: Path) -> None:
    """Make the run's folder, for its own user only.

    Raises:
        StorageDeniedError, StorageFullError: it cannot be made.
    """
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise unwritable(
            error,
            f"the scratch directory {folder.parent} cannot be used",
            hint="Choose another one with worker.scratch_dir in holdfast.toml.",
        ) from error


def remove_scratch(folder: Path, on_entry: Callable[[], None]) -> None:
    """Remove the run's folder with all that is in it, without following links; one that is gone is fine.

    Raises:
        StorageDeniedError: something in it cannot be removed.
    """
    try:
        _make_writable(folder)
        with Directories(os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) as parent:
            gone = remove_tree(parent.open(b""), os.fsencode(folder.name), on_entry=on_entry)
            left = [entry for entry in gone if isinstance(entry, Stays)]
    except FileNotFoundError:
        return
    except OSError as error:
        raise _cannot_remove(folder, error.strerror or str(error)) from error
    if left:
        raise _cannot_remove(folder, left[0].reason)


def _cannot_remove(folder: Path, reason: str) -> StorageDeniedError:
    return StorageDeniedError(
        f"what a drill has restored to {folder} cannot be removed: {reason}",
        hint="Look for mounts and immutable files there, and remove it by hand.",
    )


def _make_writable(folder: Path) -> None:
    """Restored directories may be closed to their own user, who is not always root."""
    if os.geteuid() == 0:
        return
    for path, names, _ in os.walk(folder):
        for name in names:
            child = Path(path, name)
            if not child.is_symlink():
                child.chmod(0o700)
