"""Owner, mode, times and extended attributes: put onto what a descriptor or a parent's descriptor names.

Never through a path that could have been exchanged: files and directories by their own descriptor, links by
(parent's descriptor, name) without following, devices and fifos by an O_PATH descriptor and its /proc link.

The order matters: a change of owner clears set-id bits and capabilities, an access ACL changes the mode's group bits,
and everything changes the times. So: owner, extended attributes, mode, times.

What the file system or a missing privilege refuses is a loss that is told; the content stands without it.
"""

import errno
import os
import stat
import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from holdfast.units import NS_PER_S

SET_ID_BITS: Final = stat.S_ISUID | stat.S_ISGID
_KERNEL_KEPT: Final = frozenset((b"security.selinux", b"security.ima", b"security.evm"))
_UNSUPPORTED: Final = {errno.EOPNOTSUPP, errno.ENOSYS}
REFUSALS: Final = _UNSUPPORTED | {
    errno.EPERM,
    errno.EACCES,
    errno.EINVAL,
    errno.ERANGE,
    errno.EOVERFLOW,
}
"""What a file system that lacks something says, or a system of those who may not do it."""
_ORDINARY_NS: Final = (1 << 31) * NS_PER_S
"""Times from 1970 to here are known to all file systems."""

OWNER: Final = "owner"
GROUP: Final = "group"
MODE: Final = "mode"
TIMES: Final = "times"
HARD_LINK: Final = "hard link"
_LOST: Final = " not restored: "


class Attributes(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What an entry shall look like. mode: the twelve permission bits."""

    mode: int
    uid: int
    gid: int
    mtime_ns: int
    atime_ns: int
    xattrs: tuple[tuple[bytes, bytes], ...] = ()


def apply_to_descriptor(place: int | bytes, wanted: Attributes) -> list[str]:
    """Give an open file or directory its attributes; returns what could not be had, as warnings.

    place: the descriptor, or its path below /proc where it only leads on.
    """
    losses: list[str] = []
    mode = _own(losses, wanted, lambda: os.chown(place, wanted.uid, wanted.gid))
    losses += set_xattrs(place, wanted.xattrs, follow=True)
    set_mode(losses, place, mode)
    set_times(losses, place, wanted)
    return losses


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
    losses: list[str] = []
    if stat.S_IMODE(status.st_mode) != wanted.mode:
        set_mode(losses, fd, wanted.mode)
    set_times(losses, fd, wanted)
    return losses


def apply_to_link(parent: int, name: bytes, wanted: Attributes) -> list[str]:
    """Give a symbolic link its attributes (links have no mode of their own)."""
    losses: list[str] = []
    _own(
        losses,
        wanted,
        lambda: os.chown(name, wanted.uid, wanted.gid, dir_fd=parent, follow_symlinks=False),
    )
    place = b"/proc/self/fd/%d/%b" % (parent, name)
    losses += set_xattrs(place, wanted.xattrs)
    _attempt(
        losses,
        TIMES,
        "",
        lambda: os.utime(name, ns=(wanted.atime_ns, wanted.mtime_ns), dir_fd=parent, follow_symlinks=False),
    )
    return losses


def apply_to_special(parent: int, name: bytes, wanted: Attributes) -> list[str]:
    """Give a device or fifo its attributes, without opening the thing itself.

    Raises:
        OSError: ELOOP when it is a symbolic link by now.
    """
    fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        if stat.S_ISLNK(os.fstat(fd).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        return apply_to_descriptor(b"/proc/self/fd/%d" % fd, wanted)
    finally:
        os.close(fd)


def set_mode(losses: list[str], place: int | bytes, mode: int) -> None:
    """Set the mode of what is open; a refusal costs nothing where it has that mode already."""
    refused: list[str] = []
    if not _attempt(refused, MODE, f"{mode:04o}", lambda: os.chmod(place, mode)):
        losses += refused if stat.S_IMODE(os.stat(place).st_mode) != mode else []


def set_times(losses: list[str], place: int | bytes, wanted: Attributes) -> None:
    """Set the times of what is open. A file system without such years keeps the nearest that it knows, and says
    nothing: so those that are out of the ordinary are looked at afterwards.
    """
    done = _attempt(losses, TIMES, "", lambda: os.utime(place, ns=(wanted.atime_ns, wanted.mtime_ns)))
    if done and not 0 <= wanted.mtime_ns < _ORDINARY_NS:
        kept_ns = os.stat(place).st_mtime_ns
        if kept_ns != wanted.mtime_ns:
            year = time.gmtime(kept_ns // NS_PER_S).tm_year
            losses.append(loss(TIMES, f"the file system keeps no such time, and made it one of {year}"))


def loss(kind: str, reason: str) -> str:
    """The word that a path was restored without something, or not at all; `kind_of_loss` tells it from others."""
    return f"{kind}{_LOST}{reason}"


def is_expected(warning: str) -> bool:
    """Whether a loss is listed, and no more: an ordinary user's own files get the groups that the user is in."""
    return kind_of_loss(warning) == GROUP


def kind_of_loss(warning: str) -> str:
    """What was lost, as these words begin; empty for others."""
    kind, found, _ = warning.partition(_LOST)
    return kind if found else ""


def _attempt(losses: list[str], kind: str, value: str, act: Callable[[], None]) -> bool:
    """Do what the file system or missing privilege may refuse: what is lost then is told, and the content stands.

    Raises:
        OSError: anything that is not such a refusal, as a full disk.
    """
    try:
        act()
    except OverflowError:
        losses.append(loss(kind, "there is no such value here"))
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        reason = error.strerror or str(error)
        losses.append(loss(kind, f"{value}: {reason}" if value else reason))
    else:
        return True
    return False


def _own(losses: list[str], wanted: Attributes, change: Callable[[], None]) -> int:
    """Change the owner; the mode that is to be set then: set-id bits would lend our own ids to everybody."""
    kind = GROUP if wanted.uid == os.geteuid() != 0 else OWNER
    if _attempt(losses, kind, f"{wanted.uid}:{wanted.gid}", change):
        return wanted.mode
    return wanted.mode & ~SET_ID_BITS


def set_xattrs(
    place: int | bytes, wanted: Sequence[tuple[bytes, bytes]], *, follow: bool = False
) -> list[str]:
    """Make the extended attributes exactly `wanted`: ACLs inherited from the parent go, too.

    `follow` only matters for paths. What the kernel keeps for itself is never removed.
    """
    follow = follow or isinstance(place, int)
    try:
        present = _names(place, follow=follow)
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        return [loss("attributes", error.strerror or str(error))] if wanted else []
    if not wanted and not present:
        return []
    warnings: list[str] = []
    for name in present.difference(name for name, _ in wanted) - _KERNEL_KEPT:
        try:
            os.removexattr(place, name, follow_symlinks=follow)
        except OSError as error:
            if error.errno != errno.ENODATA:
                warnings.append(loss(_attribute(name), f"it cannot be removed: {error.strerror}"))
    for name, value in wanted:
        try:
            if name not in present or os.getxattr(place, name, follow_symlinks=follow) != value:
                os.setxattr(place, name, value, follow_symlinks=follow)
        except OSError as error:
            warnings.append(loss(_attribute(name), error.strerror or str(error)))
    return warnings


def _names(place: int | bytes, *, follow: bool) -> set[bytes]:
    """The names of all extended attributes; none where the file system has no such thing."""
    try:
        return {os.fsencode(name) for name in os.listxattr(place, follow_symlinks=follow)}
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        return set()


def _attribute(name: bytes) -> str:
    return f"attribute {os.fsdecode(name)!r}"


def read_xattrs(place: int | bytes, *, follow: bool = False) -> dict[bytes, bytes]:
    """All extended attributes; none where the file system has no such thing, or shows none."""
    follow = follow or isinstance(place, int)
    found: dict[bytes, bytes] = {}
    try:
        names = _names(place, follow=follow)
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        return {}
    for name in names:
        try:
            found[name] = os.getxattr(place, name, follow_symlinks=follow)
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
        found.append(f"{MODE} is {stat.S_IMODE(status.st_mode):04o}, not {wanted.mode:04o}")
    if (status.st_uid, status.st_gid) != (wanted.uid, wanted.gid):
        found.append(f"{OWNER} is {status.st_uid}:{status.st_gid}, not {wanted.uid}:{wanted.gid}")
    if status.st_mtime_ns != wanted.mtime_ns:
        found.append(f"{TIMES} differ")
    if xattrs is not None:
        wanted_xattrs = dict(wanted.xattrs)
        for name in sorted(xattrs.keys() | wanted_xattrs.keys()):
            ours = name in wanted_xattrs or name not in _KERNEL_KEPT
            if ours and xattrs.get(name) != wanted_xattrs.get(name):
                found.append(f"{_attribute(name)} differs")
    return found
