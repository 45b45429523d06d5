"""A local directory is a storage; durable.py has the order of the steps that make a file durable.

Modes are restic's (internal/backend/util/file_helper.go): directories 0700, files read-only for the owner; where the
repository's `config` is readable for its group, the group gets the same.
"""

import contextlib
import errno
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, TypeVar

from holdfast.errors import (
    CorruptFileError,
    StorageUnavailableError,
    StoredFileMissingError,
)
from holdfast.storage.contract import Content, StoredFile, Traits, check_name, parts_of
from holdfast.storage.durable import (
    TEMPORARY_PREFIX,
    discard,
    flush_directory,
    link_new,
    make_directories,
    write_temporary,
)
from holdfast.storage.os_errors import translate, translated

_READ_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_FOLDER_TRIES: Final = 40
"""How often a directory may vanish under a write, or fill up again under a removal. 10 were once too few."""
_MODES: Final = (0o700, 0o400)
_GROUP_MODES: Final = (0o770, 0o440)
_CONFIG: Final = "config"

ResultT = TypeVar("ResultT")


class LocalStorage:
    """Files below `path`. hard_links: False for file systems known to have none; it is found out otherwise."""

    def __init__(self, path: Path, *, hard_links: bool = True) -> None:
        self.path = path.absolute()
        self._root = os.fspath(self.path)
        self._hard_links = hard_links
        self._modes: tuple[int, int] | None = None
        self._traits = Traits(directory=self.path)

    @property
    def location(self) -> str:
        """The directory."""
        return self._root

    @property
    def settle_s(self) -> float:
        """See the contract."""
        return 0.0

    @property
    def traits(self) -> Traits:
        """See the contract."""
        return self._traits

    def put(self, name: str, data: Content) -> None:
        """See the contract."""
        path = self._path(name)

        def write() -> None:
            temporary = write_temporary(os.path.dirname(path), parts_of(data), self._file_mode())
            try:
                os.rename(temporary, path)
            except BaseException:
                discard(temporary)
                raise
            flush_directory(os.path.dirname(path))

        self._writing(path, write)

    def put_new(self, name: str, data: Content) -> bool:
        """See the contract.

        Where the name is taken, the directory is flushed all the same: the caller will rely on the file that it
        lost against, and the process that made that may not have come to step 4 yet. When the last flush fails, the
        file stands and others may have seen it; so it is left there, and a repeated call finds its own file.
        """
        path = self._path(name)

        def write() -> bool:
            if os.path.lexists(path):
                return False
            temporary = write_temporary(os.path.dirname(path), parts_of(data), self._file_mode())
            try:
                return link_new(temporary, path, hard_links=self._hard_links)
            except BaseException:
                discard(temporary)
                raise

        created = self._writing(path, write)
        with translated(path):
            flush_directory(os.path.dirname(path))
        return created

    def get(self, name: str, *, limit_bytes: int) -> bytes:
        """See the contract."""
        path = self._path(name)
        with translated(path):
            descriptor, size = _open_regular(path)
            try:
                if size > limit_bytes:
                    raise CorruptFileError(
                        f"{path}: {size} bytes, more than the {limit_bytes} that are plausible"
                    )
                return _read_exactly(descriptor, path, 0, size)
            finally:
                os.close(descriptor)

    def get_into(self, name: str, buffer: memoryview) -> int:
        """See the contract."""
        path = self._path(name)
        with translated(path):
            descriptor, size = _open_regular(path)
            try:
                if size > len(buffer):
                    raise CorruptFileError(
                        f"{path}: {size} bytes, more than the {len(buffer)} that are plausible"
                    )
                have = 0
                while have < size:
                    count = os.preadv(descriptor, [buffer[have:size]], have)
                    if not count:
                        raise _too_short(path, have, size)
                    have += count
                return size
            finally:
                os.close(descriptor)

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        """See the contract."""
        path = self._path(name)
        with translated(path):
            descriptor, size = _open_regular(path)
            try:
                if offset + length > size:
                    raise _too_short(path, size, offset + length)
                return _read_exactly(descriptor, path, offset, length)
            finally:
                os.close(descriptor)

    def get_range_into(self, name: str, offset: int, buffer: memoryview) -> None:
        """See the contract."""
        path = self._path(name)
        length = len(buffer)
        with translated(path):
            descriptor, size = _open_regular(path)
            try:
                have = 0
                while have < length:
                    count = os.preadv(descriptor, [buffer[have:]], offset + have)
                    if not count:
                        raise _too_short(path, size, offset + length)
                    have += count
            finally:
                os.close(descriptor)

    def size(self, name: str) -> int:
        """See the contract."""
        path = self._path(name)
        with translated(path):
            return os.stat(path).st_size

    def size_or_none(self, name: str) -> int | None:
        """See the contract."""
        try:
            return self.size(name)
        except StoredFileMissingError:
            return None

    def list(self, folder: str) -> Iterator[StoredFile]:
        """See the contract."""
        pending = [check_name(folder)]
        while pending:
            current = pending.pop()
            for entry in _entries(os.path.join(self._root, current)):
                name = f"{current}/{entry.name}"
                status = _status(entry)
                if status is None:
                    continue
                if stat.S_ISDIR(status.st_mode):
                    pending.append(name)
                elif stat.S_ISREG(status.st_mode) and not entry.name.startswith(TEMPORARY_PREFIX):
                    yield StoredFile(name, status.st_size, status.st_mtime_ns)

    def delete(self, name: str) -> None:
        """See the contract."""
        self.delete_many([name])

    def delete_many(self, names: Iterable[str]) -> None:
        """See the contract. Each directory is flushed once, also when one of the files cannot be removed."""
        changed: set[str] = set()
        try:
            for name in names:
                path = self._path(name)
                with translated(path), contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
                    changed.add(os.path.dirname(path))
        finally:
            for directory in changed:
                with translated(directory), contextlib.suppress(FileNotFoundError):
                    flush_directory(directory)

    def delete_folder(self, folder: str) -> None:
        """See the contract. Symbolic links below the folder are removed, never followed."""
        path = self._path(folder)
        with translated(path):
            for _ in range(_FOLDER_TRIES):
                if _remove_tree(path):
                    break
            if os.path.isdir(os.path.dirname(path)):
                flush_directory(os.path.dirname(path))

    def make_folders(self, folders: Iterable[str]) -> None:
        """See the contract."""
        for folder in folders:
            path = self._path(folder)
            with translated(path):
                make_directories(path, self._directory_mode())

    def remove_leftovers(self, *, older_than_s: float, dry_run: bool = False) -> int:
        """See the contract. A writer that is alive after all notices, and writes its file again."""
        horizon_ns = time.time_ns() - int(older_than_s * 1e9)
        found = 0
        pending = [self._root]
        while pending:
            for entry in _entries(pending.pop()):
                status = _status(entry)
                if status is None:
                    continue
                if stat.S_ISDIR(status.st_mode):
                    pending.append(entry.path)
                elif entry.name.startswith(TEMPORARY_PREFIX) and status.st_mtime_ns <= horizon_ns:
                    found += 1
                    if not dry_run:
                        discard(entry.path)
        return found

    def close(self) -> None:
        """Nothing is held open."""

    def _path(self, name: str) -> str:
        return os.path.join(self._root, check_name(name))

    def _writing(self, path: str, write: Callable[[], ResultT]) -> ResultT:
        """Run a write. A directory that is not there is made."""
        for _ in range(_FOLDER_TRIES):
            try:
                return write()
            except FileNotFoundError:
                self._make_parent(path)
            except OSError as error:
                raise translate(error, path) from error
        raise StorageUnavailableError(f"{path}: its directory disappears again and again while it is written")

    def _make_parent(self, path: str) -> None:
        # directories may be removed at the same moment: the next try sees it
        with translated(path), contextlib.suppress(FileNotFoundError):
            make_directories(os.path.dirname(path), self._directory_mode())

    def _file_mode(self) -> int:
        return self._known_modes()[1]

    def _directory_mode(self) -> int:
        return self._known_modes()[0]

    def _known_modes(self) -> tuple[int, int]:
        if self._modes is None:
            try:
                config_mode = os.stat(os.path.join(self._root, _CONFIG)).st_mode
            except OSError:
                return _MODES
            self._modes = _GROUP_MODES if config_mode & stat.S_IRGRP else _MODES
        return self._modes


def _open_regular(path: str) -> tuple[int, int]:
    """(descriptor, size) of a regular file; a FIFO in its place does not make us wait."""
    try:
        descriptor = os.open(path, _READ_FLAGS)
    except NotADirectoryError as error:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise CorruptFileError(f"{path}: not a regular file")
    return descriptor, status.st_size


def _read_exactly(descriptor: int, path: str, offset: int, length: int) -> bytes:
    first = os.pread(descriptor, length, offset)
    if len(first) == length:
        return first
    pieces = [first]
    have = len(first)
    while have < length:
        piece = os.pread(descriptor, length - have, offset + have)
        if not piece:
            raise _too_short(path, offset + have, offset + length)
        pieces.append(piece)
        have += len(piece)
    return b"".join(pieces)


def _too_short(path: str, size: int, needed: int) -> CorruptFileError:
    return CorruptFileError(
        f"{path}: ends at {size} bytes where {needed} are needed",
        hint="The file was cut off; `restic check` tells what it held.",
    )


def _entries(directory: str) -> list[os.DirEntry[str]]:
    """What a directory holds; nothing when it is not there."""
    with translated(directory):
        try:
            with os.scandir(directory) as entries:
                return list(entries)
        except FileNotFoundError:
            return []


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    """The entry's status (a link's own, if it is one that leads to no directory); None when it has gone since."""
    with translated(entry.path):
        try:
            return entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return None


def _remove_tree(path: str) -> bool:
    """Remove a directory with all that is in it; False when something was put into it since."""
    try:
        entries = list(os.scandir(path))
    except FileNotFoundError:
        return True
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            _remove_tree(entry.path)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(entry.path)
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError:
        return not os.path.isdir(path)
    return True
