"""A cache holds copies of stored files in a folder of this user, so that what was fetched once is not fetched again.

It may be lost, cut off or damaged at any moment, by crashes too: nothing in it is flushed. So it is believed only as
far as it proves itself. An entry is the file's content, then a digest of each piece of 64 KiB; a digest covers the
entry's name and the piece's number as well. Whatever is read is read with the digests of the pieces that it touches:
what does not fit is removed, and counts as not there. Nothing here raises for what the folder's file system does.

Processes share it without locks: an entry gets its name when it is whole, by a rename, and one that is replaced or
removed is still read to its end by those who have it open.

It is bounded: each process that has added a sixty-fourth of the bound looks at the whole of it, and removes what was
not used for longest until an eighth is free; so eight processes stay below the bound together. It leaves a twentieth of
the file system free.

    <directory>/CACHEDIR.TAG
    <directory>/<repository id>/<folder>/<64 hex digits>
"""

import contextlib
import hashlib
import logging
import os
import secrets
import shutil
import stat
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from holdfast.ids import is_hex_id

_PIECE_BYTES: Final = 64 * 1024
_DIGEST_BYTES: Final = 16
_WHOLE_PIECE_BYTES: Final = _PIECE_BYTES + _DIGEST_BYTES
_ADDED_SHARE: Final = 64
_KEPT_SHARE: Final = 8
_LARGEST_SHARE: Final = 8
"""What would take more than such a part of the bound is not kept."""
_FREE_SHARE: Final = 20
_TEMPORARY: Final = ".new-"
_ABANDONED_S: Final = 3600.0
_USED_AGAIN_S: Final = 60.0
"""The time of the last use is noted that exactly."""
TAG: Final = "CACHEDIR.TAG"
_TAG_TEXT: Final = (
    b"Signature: 8a477f597d28d172789f06886806bc55\n"
    b"# Copies of files of restic repositories, kept by Holdfast. All of this may be removed at any time.\n"
    b"# https://bford.info/cachedir/ says what this file is for.\n"
)
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedRepository:
    """What is cached of one repository. used_s: when something of it was last used, since 1970."""

    repository: str
    files: int
    size_bytes: int
    used_s: float


class Cache:
    """The cache in a directory, which need not be there yet, up to so many bytes. Thread-safe."""

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self.directory = directory
        self.max_bytes = max_bytes
        self._lock = threading.Lock()
        self._added = max_bytes  # the first that is added has all of it looked at
        self._is_ours = False

    def read(self, entry: str, offset: int = 0, length: int | None = None) -> bytes | None:
        """A part of an entry, or all of it; None when it is not there, damaged, or shorter than that.

        entry: `<repository id>/<folder>/<64 hex digits>`.
        """
        path = self._path(entry)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            status = os.fstat(descriptor)
            size = _content_bytes(status.st_size)
            if size is None:
                self._drop_damaged(path)
                return None
            if length is None:
                length = size - offset
            if length <= 0 or offset + length > size:
                return None
            found = _checked(descriptor, entry, size, offset, length)
            if found is None:
                self._drop_damaged(path)
            elif time.time() - status.st_mtime > _USED_AGAIN_S:
                os.utime(descriptor)
        except OSError:
            return None
        else:
            return found
        finally:
            os.close(descriptor)

    def keep(self, entry: str, parts: Sequence[memoryview]) -> bool:
        """Add an entry with this content, or replace it; whether that was possible."""
        size = sum(part.nbytes for part in parts)
        if not 0 < size <= self.max_bytes // _LARGEST_SHARE:
            return False
        path = Path(self._path(entry))
        temporary = path.with_name(_TEMPORARY + secrets.token_hex(8))
        try:
            if not self._takes(path.parent):
                return False
            self._make_room(size)
            if _is_nearly_full(path.parent, size):
                return False
            _write(temporary, entry, parts)
            temporary.rename(path)
        except OSError as error:
            _LOG.info("the cache cannot take %s: %s", entry, error.strerror)
            with contextlib.suppress(OSError):
                temporary.unlink()
            return False
        return True

    def drop(self, entry: str) -> None:
        """Forget an entry; one that is not there is fine."""
        with contextlib.suppress(OSError):
            os.unlink(self._path(entry))

    def repositories(self) -> list[CachedRepository]:
        """What is cached, those used last first."""
        found = []
        for repository in _folders(self.directory):
            files = [*_files(self.directory / repository)]
            found.append(
                CachedRepository(
                    repository=repository,
                    files=len(files),
                    size_bytes=sum(status.st_size for _, status in files),
                    used_s=max((status.st_mtime for _, status in files), default=0.0),
                )
            )
        return sorted(found, key=lambda cached: cached.used_s, reverse=True)

    def forget(self, repository: str) -> None:
        """Remove all that is cached of a repository, by its id."""
        if is_hex_id(repository):
            shutil.rmtree(self.directory / repository, ignore_errors=True)

    def _path(self, entry: str) -> str:
        return os.path.join(self.directory, *entry.split("/"))

    def _drop_damaged(self, path: str) -> None:
        _LOG.warning("a damaged file of the cache was removed: %s", path)
        with contextlib.suppress(OSError):
            os.unlink(path)

    def _make_room(self, size: int) -> None:
        """Count what is about to be added, and remove what was not used for longest when it is time to."""
        with self._lock:
            self._added += size
            if self._added <= self.max_bytes // _ADDED_SHARE:
                return
            self._added = 0
            files = [file for folder in _folders(self.directory) for file in _files(self.directory / folder)]
            total = size + sum(status.st_size for _, status in files)
            allowed = self.max_bytes - self.max_bytes // _KEPT_SHARE
            abandoned_s = time.time() - _ABANDONED_S
            for path, status in sorted(files, key=lambda file: file[1].st_mtime):
                is_left_over = path.name.startswith(_TEMPORARY) and status.st_mtime < abandoned_s
                if total <= allowed and not is_left_over:
                    continue
                with contextlib.suppress(OSError):
                    path.unlink()
                total -= status.st_size

    def _takes(self, folder: Path) -> bool:
        """Whether entries can go to this folder; it is made when it is not there, and all above it."""
        if self._is_ours and folder.is_dir():
            return True
        self._is_ours = _prepared(self.directory)
        if self._is_ours:
            folder.parent.mkdir(mode=0o700, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
        return self._is_ours


def _prepared(directory: Path) -> bool:
    """Make the directory and its tag; whether it is this user's. Root makes none in what belongs to another user."""
    above = next(folder for folder in (directory, *directory.parents) if folder.exists())
    if above.stat().st_uid != os.geteuid() and (above == directory or os.geteuid() == 0):
        _LOG.info("there is no cache in %s: %s is another user's", directory, above)
        return False
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not stat.S_ISDIR(os.lstat(directory).st_mode):
        return False
    tag = directory / TAG
    if not tag.exists():
        temporary = directory / f"{_TEMPORARY}{secrets.token_hex(8)}"
        temporary.write_bytes(_TAG_TEXT)
        temporary.rename(tag)
    return True


def _is_nearly_full(folder: Path, size: int) -> bool:
    space = os.statvfs(folder)
    return (space.f_bavail * space.f_frsize - size) * _FREE_SHARE < space.f_blocks * space.f_frsize


def _folders(directory: Path) -> list[str]:
    """The repositories' folders."""
    try:
        return [name for name in os.listdir(directory) if is_hex_id(name)]
    except OSError:
        return []


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """The entries of a repository, and what an interrupted `keep` has left; nothing that others have put there."""
    with contextlib.suppress(OSError), os.scandir(folder) as kinds:
        for kind in kinds:
            if kind.is_dir(follow_symlinks=False):
                yield from _files_in(kind.path)


def _files_in(folder: str) -> Iterator[tuple[Path, os.stat_result]]:
    with contextlib.suppress(OSError), os.scandir(folder) as files:
        for file in files:
            if not is_hex_id(file.name) and not file.name.startswith(_TEMPORARY):
                continue
            with contextlib.suppress(OSError):
                status = file.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    yield Path(file.path), status


def _content_bytes(stored_bytes: int) -> int | None:
    """How many bytes of content an entry of that size has; None where none has that size. None is empty."""
    pieces = -(-stored_bytes // _WHOLE_PIECE_BYTES)
    size = stored_bytes - pieces * _DIGEST_BYTES
    return size if size > (pieces - 1) * _PIECE_BYTES >= 0 else None


def _checked(descriptor: int, entry: str, size: int, offset: int, length: int) -> bytes | None:
    """A part of the content; None where a piece that it touches is not what its digest says."""
    first, end = offset // _PIECE_BYTES, -(-(offset + length) // _PIECE_BYTES)
    begin = first * _PIECE_BYTES
    data = os.pread(descriptor, min(end * _PIECE_BYTES, size) - begin, begin)
    digests = os.pread(descriptor, (end - first) * _DIGEST_BYTES, size + first * _DIGEST_BYTES)
    pieces = memoryview(data)
    wanted = b"".join(
        _digest(entry, first + number, pieces[at : at + _PIECE_BYTES])
        for number, at in enumerate(range(0, len(data), _PIECE_BYTES))
    )
    if len(data) < offset + length - begin or digests != wanted:
        return None
    return data[offset - begin : offset - begin + length]


def _digest(entry: str, number: int, *pieces: memoryview) -> bytes:
    digest = hashlib.sha256(f"{entry} {number} ".encode())
    for piece in pieces:
        digest.update(piece)
    return digest.digest()[:_DIGEST_BYTES]


def _write(path: Path, entry: str, parts: Sequence[memoryview]) -> None:
    """Content and digests, not flushed: what a crash makes of it shows when it is read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        digests = bytearray()
        for number, pieces in enumerate(_pieces(parts)):
            file.writelines(pieces)
            digests += _digest(entry, number, *pieces)
        file.write(digests)


def _pieces(parts: Sequence[memoryview]) -> Iterator[list[memoryview]]:
    """The content cut into pieces, each of one or several views."""
    piece: list[memoryview] = []
    have = 0
    for part in parts:
        while part.nbytes:
            taken = part[: _PIECE_BYTES - have]
            piece.append(taken)
            have += taken.nbytes
            part = part[taken.nbytes :]  # noqa: PLW2901 - what is left of it
            if have == _PIECE_BYTES:
                yield piece
                piece, have = [], 0
    if piece:
        yield piece
