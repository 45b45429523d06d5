"""A file is made durable on a local file system: write and flush a new one, give it its name, flush the directory.

The order in which a file comes into being, with what a crash in between leaves:

    1. create a temporary file in the final directory: a crash leaves a file that no listing shows, and that
       `remove_leftovers` takes away;
    2. write it, set its mode, fsync it: the same;
    3. rename it to the final name, or link it there when nothing may be replaced: the name is whole or not there;
    4. fsync the directory: only now is the name durable, and only now may anybody be told.

An fsync that fails may have dropped the dirty pages and cleared the error, so that a second one on the same file
would succeed without the bytes being on the disk (Linux before 4.13, some file systems after). Therefore a failed
fsync always leads to a new temporary file, whose bytes are written again.

Large files go around the system's cache where the file system permits that: nobody reads them soon, what others read
stays in the cache, and copying into it would cost twice the processor time of a hash. See
docs/adr/0024-packs-past-the-cache.md.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import secrets
from collections.abc import Sequence
from typing import Final

TEMPORARY_PREFIX: Final = ".holdfast-tmp-"
_FLUSH_NOT_SUPPORTED: Final = frozenset({errno.EINVAL, errno.ENOTSUP})
_NO_HARD_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS})
_NO_RENAME_FLAGS: Final = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOSYS})
NO_NEW_NAMES: Final = "the file system can neither link files nor rename without replacing"
_ALLOCATION_NOT_SUPPORTED: Final = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.ENODEV})
_LARGE_BYTES: Final = 1024 * 1024
_BLOCK_BYTES: Final = 4096
"""A multiple of every disk's block size."""
_AT_FDCWD: Final = -100
_RENAME_NOREPLACE: Final = 1


def write_temporary(directory: str, parts: Sequence[memoryview], mode: int) -> str:
    """Steps 1 and 2; the path of the flushed temporary file. What fails leaves nothing behind."""
    path = os.path.join(directory, TEMPORARY_PREFIX + secrets.token_hex(8))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            _allocate(descriptor, sum(part.nbytes for part in parts))
            for part in parts:
                _write(descriptor, part)
            _set_mode(descriptor, mode)
            _flush(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        discard(path)
        raise
    return path


def flush_directory(path: str) -> None:
    """fsync a directory, so that the names in it are durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _flush(descriptor)
    finally:
        os.close(descriptor)


def make_directories(path: str, mode: int) -> None:
    """Create a directory and the missing ones above it, each made durable in its parent."""
    missing: list[str] = []
    current = path
    while not os.path.isdir(current):
        missing.append(current)
        parent = os.path.dirname(current)
        if parent == current:
            break
        current = parent
    for directory in reversed(missing):
        try:
            os.mkdir(directory, mode)
        except FileExistsError:
            if not os.path.isdir(directory):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), directory) from None
        flush_directory(os.path.dirname(directory))


def link_new(temporary: str, final: str, *, hard_links: bool) -> bool:
    """Give a temporary file its final name unless that is taken; whether it was free. Atomic either way.

    Raises:
        OSError: ENOTSUP where the file system has neither way to do that.
    """
    try:
        if hard_links:
            try:
                os.link(temporary, final)
            except OSError as error:
                if error.errno not in _NO_HARD_LINKS:
                    raise
            else:
                discard(temporary)
                return True
        try:
            _rename_no_replace(temporary, final)
        except OSError as error:
            if error.errno in _NO_RENAME_FLAGS:
                raise OSError(errno.ENOTSUP, NO_NEW_NAMES, final) from error
            raise
    except FileExistsError:
        discard(temporary)
        return False
    return True


def discard(path: str) -> None:
    """Remove a temporary file if that is possible; what stays is a leftover."""
    with contextlib.suppress(OSError):
        os.unlink(path)


def _rename_no_replace(source: str, target: str) -> None:
    """renameat2 with RENAME_NOREPLACE, for file systems without hard links (FAT, exFAT)."""
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.renameat2(
        _AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), ctypes.c_uint(_RENAME_NOREPLACE)
    )
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


def _allocate(descriptor: int, size: int) -> None:
    """Have the file system choose the blocks of a large file at once, where it can."""
    if size < _LARGE_BYTES:
        return
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno not in _ALLOCATION_NOT_SUPPORTED:
            raise


def _write(descriptor: int, part: memoryview) -> None:
    """Write a part: what is large and fills blocks past the cache, the rest (or all, if that is refused) as usual."""
    done = 0
    if len(part) >= _LARGE_BYTES:
        done = _write_directly(descriptor, part[: len(part) - len(part) % _BLOCK_BYTES])
    _write_all(descriptor, part[done:])


def _write_directly(descriptor: int, blocks: memoryview) -> int:
    """Write whole blocks with O_DIRECT; how many bytes of them were written before it was refused.

    It is refused by file systems that do not know it, for memory that does not begin at a block's boundary, and when
    an earlier part has ended within a block.
    """
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    done = 0
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_DIRECT)
        while done < len(blocks):
            done += os.write(descriptor, blocks[done:])
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags)
    return done


def _write_all(descriptor: int, part: memoryview) -> None:
    rest = part
    while len(rest):
        rest = rest[os.write(descriptor, rest) :]


def _set_mode(descriptor: int, mode: int) -> None:
    """File systems without modes may refuse; restic does not mind either."""
    try:
        os.fchmod(descriptor, mode)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
            raise


def _flush(descriptor: int) -> None:
    """fsync, where the file system knows it. Never called twice for one write, see above."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _FLUSH_NOT_SUPPORTED:
            raise
