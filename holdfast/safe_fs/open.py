"""Open a path beneath a directory, following no link on the way: the kernel resolves it (openat2), or step by step.

RESOLVE_BENEATH refuses every way out, RESOLVE_NO_SYMLINKS every link, even one that was put there a moment ago. Where
the kernel or a sandbox has no openat2, each component is opened with O_NOFOLLOW from the one before; that is as safe,
since no component is ever "..", and slower. Paths longer than the kernel takes are opened in stretches, so a tree of
ten thousand levels is no special case. Source: openat2(2).
"""

import ctypes
import errno
import os
from typing import Final

_SYS_OPENAT2: Final = 437
_RESOLVE_NO_SYMLINKS: Final = 0x04
_RESOLVE_BENEATH: Final = 0x08
_MAX_STRETCH_BYTES: Final = 2048
_MAX_RACES: Final = 16
_UNAVAILABLE: Final = frozenset({errno.ENOSYS, errno.EPERM})
_STEP_FLAGS: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_libc = ctypes.CDLL(None, use_errno=True)


def open_beneath(base: int, path: bytes, flags: int, mode: int = 0) -> int:
    """A descriptor of `path`, relative to the directory `base`; b"" or b"." is `base` itself.

    Raises:
        OSError: ELOOP where a link is in the way, EXDEV where the path would lead out, and what open(2) says else.
        ValueError: the path is absolute or holds "..".
    """
    rest = _clean(path)
    here = base
    try:
        while len(rest) > _MAX_STRETCH_BYTES and (cut := rest.rfind(b"/", 0, _MAX_STRETCH_BYTES)) > 0:
            there = _open_stretch(here, rest[:cut], _STEP_FLAGS, 0)
            if here != base:
                os.close(here)
            here, rest = there, rest[cut + 1 :]
        return _open_stretch(here, rest, flags | os.O_CLOEXEC, mode)
    finally:
        if here != base:
            os.close(here)


def _clean(path: bytes) -> bytes:
    parts = path.split(b"/")
    if path.startswith(b"/") or b".." in parts:
        raise ValueError("a path beneath a directory is relative and holds no '..'")
    if b"" in parts or b"." in parts:
        return b"/".join([part for part in parts if part not in (b"", b".")]) or b"."
    return path


def _open_stretch(base: int, path: bytes, flags: int, mode: int) -> int:
    if not _Kernel.has_openat2:
        return _open_by_steps(base, path, flags, mode)
    how = _OpenHow(flags, mode if flags & os.O_CREAT else 0, _RESOLVE_BENEATH | _RESOLVE_NO_SYMLINKS)
    code = 0
    for _ in range(_MAX_RACES):
        fd: int = _libc.syscall(_SYS_OPENAT2, base, path, ctypes.byref(how), ctypes.sizeof(how))
        if fd >= 0:
            return fd
        code = ctypes.get_errno()
        if code in _UNAVAILABLE and not _Kernel.proven:
            return _open_without(base, path, flags, mode)
        # EAGAIN: something was renamed on the way while the kernel looked.
        if code not in (errno.EAGAIN, errno.EINTR):
            break
    raise OSError(code, os.strerror(code), path)


def _open_without(base: int, path: bytes, flags: int, mode: int) -> int:
    """EPERM may come from a sandbox or from the file: whether "." opens tells which."""
    how = _OpenHow(_STEP_FLAGS, 0, _RESOLVE_BENEATH)
    fd: int = _libc.syscall(_SYS_OPENAT2, base, b".", ctypes.byref(how), ctypes.sizeof(how))
    if fd >= 0:
        os.close(fd)
        _Kernel.proven = True
        return _open_stretch(base, path, flags, mode)
    _Kernel.has_openat2 = False
    return _open_by_steps(base, path, flags, mode)


def _open_by_steps(base: int, path: bytes, flags: int, mode: int) -> int:
    parts = path.split(b"/")
    here = base
    try:
        for part in parts[:-1]:
            there = os.open(part, _STEP_FLAGS, dir_fd=here)
            if here != base:
                os.close(here)
            here = there
        return os.open(parts[-1], flags | os.O_NOFOLLOW, mode, dir_fd=here)
    finally:
        if here != base:
            os.close(here)


class _Kernel:
    """What this process has learned about openat2."""

    has_openat2 = True
    proven = False
