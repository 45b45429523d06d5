"""Owner, mode, times and extended attributes: put onto what a descriptor or a parent's descriptor names.

Never through a path that somebody could have exchanged: files and directories by their own descriptor, links by
(parent's descriptor, name) without following, devices and fifos by an O_PATH descriptor and its /proc link.

The order matters: a change of owner clears set-id bits and capabilities, an access ACL changes the mode's group bits,
and everything changes the times. So: owner, extended attributes, mode, times.
"""

import errno
import os
import stat
from collections.abc import Sequence
from typing import Final

import msgspec

SET_ID_BITS: Final = stat.S_ISUID | stat.S_ISGID
_KERNEL_KEPT: Final = frozenset((b"security.selinux", b"security.ima", b"security.evm"))
_UNSUPPORTED: Final = {errno.EOPNOTSUPP, errno.ENOSYS}


class Attributes(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What an entry shall look like. mode: the twelve permission bits."""

    mode: int
    uid: int
    gid: int
    mtime_ns: int
    atime_ns: int
    xattrs: tuple[tuple[bytes, bytes], ...] = ()


def apply_to_descriptor(fd: int, wanted: Attributes) -> list[str]:
    """Give an open file or directory its attributes; returns what could not be had, as warnings."""
    warnings: list[str] = []
    mode = wanted.mode
    try:
        os.fchown(fd, wanted.uid, wanted.gid)
    except PermissionError:
        mode = _without_foreign_ids(wanted, warnings)
    warnings += set_xattrs(fd, wanted.xattrs)
    os.fchmod(fd, mode)
    os.utime(fd, ns=(wanted.atime_ns, wanted.mtime_ns))
    return warnings


def complete_new_file(fd: int, size_bytes: int, wanted: Attributes, *, inherits_acl: bool) -> list[str]:
    """Give a file that this process has created its size and attributes; returns what could not be had, as warnings.

    Does only what is left to do, because most new files have the right owner and mode from their creation.
    inherits_acl: whether the directory's default ACL has given it extended attributes.
    """
    status = os.fstat(fd)
    if status.st_size != size_bytes:
        os.ftruncate(fd, size_bytes)
    if inherits_acl or wanted.xattrs or (status.st_uid, status.st_gid) != (wanted.uid, wanted.gid):
        return apply_to_descriptor(fd, wanted)
    if stat.S_IMODE(status.st_mode) != wanted.mode:
        os.fchmod(fd, wanted.mode)
    os.utime(fd, ns=(wanted.atime_ns, wanted.mtime_ns))
    return []


def apply_to_link(parent: int, name: bytes, wanted: Attributes) -> list[str]:
    """Give a symbolic link its attributes (links have no mode of their own)."""
    warnings: list[str] = []
    try:
        os.chown(name, wanted.uid, wanted.gid, dir_fd=parent, follow_symlinks=False)
    except PermissionError:
        _without_foreign_ids(wanted, warnings)
    place = b"/proc/self/fd/%d/%b" % (parent, name)
    warnings += set_xattrs(place, wanted.xattrs)
    os.utime(name, ns=(wanted.atime_ns, wanted.mtime_ns), dir_fd=parent, follow_symlinks=False)
    return warnings


def apply_to_special(parent: int, name: bytes, wanted: Attributes) -> list[str]:
    """Give a device or fifo its attributes, without opening the thing itself.

    Raises:
        OSError: ELOOP when it is a symbolic link by now.
    """
    warnings: list[str] = []
    fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        kind = stat.S_IFMT(os.fstat(fd).st_mode)
        if kind == stat.S_IFLNK:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        place = b"/proc/self/fd/%d" % fd
        mode = wanted.mode
        try:
            os.chown(place, wanted.uid, wanted.gid)
        except PermissionError:
            mode = _without_foreign_ids(wanted, warnings)
        warnings += set_xattrs(place, wanted.xattrs, follow=True)
        os.chmod(place, mode)
        os.utime(place, ns=(wanted.atime_ns, wanted.mtime_ns))
    finally:
        os.close(fd)
    return warnings


def _without_foreign_ids(wanted: Attributes, warnings: list[str]) -> int:
    """The mode for a file that keeps our own ids: its set-id bits would lend them to everybody."""
    if os.geteuid() == 0:
        warnings.append(f"the owner {wanted.uid}:{wanted.gid} was refused")
    return wanted.mode & ~SET_ID_BITS


def set_xattrs(
    place: int | bytes, wanted: Sequence[tuple[bytes, bytes]], *, follow: bool = False
) -> list[str]:
    """Make the extended attributes exactly `wanted`: ACLs inherited from the parent go, too.

    `follow` only matters for paths. What the kernel keeps for itself is never removed.
    """
    follow = follow or isinstance(place, int)
    try:
        present = {os.fsencode(name) for name in os.listxattr(place, follow_symlinks=follow)}
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        present = set()
    if not wanted and not present:
        return []
    warnings: list[str] = []
    for name in present.difference(name for name, _ in wanted) - _KERNEL_KEPT:
        try:
            os.removexattr(place, name, follow_symlinks=follow)
        except OSError as error:
            if error.errno != errno.ENODATA:
                warnings.append(f"attribute {os.fsdecode(name)!r} cannot be removed: {error.strerror}")
    for name, value in wanted:
        try:
            if name not in present or os.getxattr(place, name, follow_symlinks=follow) != value:
                os.setxattr(place, name, value, follow_symlinks=follow)
        except OSError as error:
            warnings.append(f"attribute {os.fsdecode(name)!r} cannot be set: {error.strerror}")
    return warnings


def read_xattrs(place: int | bytes, *, follow: bool = False) -> dict[bytes, bytes]:
    """All extended attributes; none where the file system has no such thing."""
    follow = follow or isinstance(place, int)
    try:
        names = os.listxattr(place, follow_symlinks=follow)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        return {}
    found: dict[bytes, bytes] = {}
    for name in names:
        try:
            found[os.fsencode(name)] = os.getxattr(place, name, follow_symlinks=follow)
        except OSError as error:
            if error.errno != errno.ENODATA:
                raise
    return found


def differences(
    status: os.stat_result,
    xattrs: dict[bytes, bytes] | None,
    wanted: Attributes,
    *,
    compare_mode: bool = True,
) -> list[str]:
    """What of `wanted` an entry does not have, in words; `xattrs` None leaves those out. atime is not compared."""
    found: list[str] = []
    if compare_mode and stat.S_IMODE(status.st_mode) != wanted.mode:
        found.append(f"mode is {stat.S_IMODE(status.st_mode):04o}, not {wanted.mode:04o}")
    if (status.st_uid, status.st_gid) != (wanted.uid, wanted.gid):
        found.append(f"owner is {status.st_uid}:{status.st_gid}, not {wanted.uid}:{wanted.gid}")
    if status.st_mtime_ns != wanted.mtime_ns:
        found.append("modification time differs")
    if xattrs is not None:
        wanted_xattrs = dict(wanted.xattrs)
        for name in sorted(xattrs.keys() | wanted_xattrs.keys()):
            ours = name in wanted_xattrs or name not in _KERNEL_KEPT
            if ours and xattrs.get(name) != wanted_xattrs.get(name):
                found.append(f"attribute {os.fsdecode(name)!r} differs")
    return found
