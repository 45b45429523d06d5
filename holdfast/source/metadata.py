"""Metadata of files as nodes: modes, owners and their names, times, links, devices, extended attributes (so ACLs)."""

import errno
import grp
import os
import pwd
import stat as modes
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from holdfast.format.names import quote_name
from holdfast.format.times import LAST_NS
from holdfast.format.tree import Node
from holdfast.ids import BlobId
from holdfast.source.trouble import explain

_NO_XATTRS: Final = frozenset({errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENODATA})
NO_CTIME_NS: Final = 0
"""A time of change that no file has."""
_TOO_LATE: Final = "stored with a time of the year 9999: the format has none later"


class IncompleteNodeError(Exception):
    """Attributes of an entry cannot be read, or stored. node: all else. message: which, in the system's words.

    A file's node has a time of change that no file has, so that the next backup looks at the file again, and tells
    again what is lost: an unchanged file's node is taken over as it stands.
    """

    def __init__(self, node: Node, message: str) -> None:
        super().__init__(message)
        self.node = node
        self.message = message


class _AttributesLostError(Exception):
    """found: the attributes that could be read."""

    def __init__(self, found: Sequence[tuple[bytes, bytes]], message: str) -> None:
        super().__init__(message)
        self.found = found
        self.message = message


class MetadataReader:
    """Builds nodes. with_atime: store access times as they are; else they equal the modification times, as restic's."""

    def __init__(self, *, with_atime: bool = False) -> None:
        self._with_atime = with_atime

    def file_node(
        self, fd: int, name: bytes, stat: os.stat_result, *, content: Sequence[BlobId], size: int
    ) -> Node:
        """The node of an open regular file with this content, of which `size` bytes were read.

        Raises:
            IncompleteNodeError: an extended attribute cannot be read, or a time is beyond what the format has.
        """
        try:
            node = self._file_node(name, stat, _xattrs(fd), content, size)
        except _AttributesLostError as error:
            node = self._file_node(name, stat, error.found, content, size)
            raise IncompleteNodeError(node.with_ctime(NO_CTIME_NS), error.message) from error
        if stat.st_mtime_ns > LAST_NS:
            raise IncompleteNodeError(node.with_ctime(NO_CTIME_NS), _TOO_LATE)
        return node

    def _file_node(
        self,
        name: bytes,
        stat: os.stat_result,
        xattrs: Sequence[tuple[bytes, bytes]],
        content: Sequence[BlobId],
        size: int,
    ) -> Node:
        return Node.of_file(
            name,
            stat,
            atime_ns=stat.st_atime_ns if self._with_atime else stat.st_mtime_ns,
            user=_user(stat.st_uid),
            group=_group(stat.st_gid),
            xattrs=xattrs,
            content=content,
            size=size,
        )

    def entry_node(self, directory: int, name: bytes, stat: os.stat_result) -> Node:
        """The node of an entry of an open directory; a file's has no content yet.

        Raises:
            IncompleteNodeError: an extended attribute cannot be read, or a time is beyond what the format has.
            OSError: a link's target cannot be read.
        """
        target = os.readlink(name, dir_fd=directory) if modes.S_ISLNK(stat.st_mode) else b""
        path = b"/proc/self/fd/%d/%s" % (directory, name)
        return self._with_attributes(path, name, stat, target=target, size=stat.st_size)

    def directory_node(self, path: bytes, name: bytes, stat: os.stat_result) -> Node:
        """The node of a directory above a root, by path.

        Raises:
            IncompleteNodeError: an extended attribute cannot be read, or a time is beyond what the format has.
        """
        return self._with_attributes(path, name, stat, target=b"", size=0)

    def _with_attributes(
        self, path: bytes, name: bytes, stat: os.stat_result, *, target: bytes, size: int
    ) -> Node:
        message = _TOO_LATE if stat.st_mtime_ns > LAST_NS else ""
        try:
            node = self._node(name, stat, xattrs=_xattrs(path), target=target, size=size)
        except _AttributesLostError as error:
            node = self._node(name, stat, xattrs=error.found, target=target, size=size)
            message = error.message
        if message:
            node = node.with_ctime(NO_CTIME_NS) if modes.S_ISREG(stat.st_mode) else node
            raise IncompleteNodeError(node, message)
        return node

    def _node(
        self,
        name: bytes,
        stat: os.stat_result,
        *,
        xattrs: Sequence[tuple[bytes, bytes]],
        size: int,
        target: bytes = b"",
    ) -> Node:
        is_device = modes.S_ISBLK(stat.st_mode) or modes.S_ISCHR(stat.st_mode)
        return Node.create(
            name=name,
            st_mode=stat.st_mode,
            uid=stat.st_uid,
            gid=stat.st_gid,
            user=_user(stat.st_uid),
            group=_group(stat.st_gid),
            mtime_ns=stat.st_mtime_ns,
            atime_ns=stat.st_atime_ns if self._with_atime else stat.st_mtime_ns,
            ctime_ns=stat.st_ctime_ns,
            inode=stat.st_ino,
            device_id=stat.st_dev,
            size=size,
            links=stat.st_nlink,
            device=stat.st_rdev if is_device else 0,
            target=target,
            xattrs=xattrs,
        )


def _xattrs(target: int | bytes) -> Sequence[tuple[bytes, bytes]]:
    """Extended attributes of a descriptor, or of a path whose last part is not followed.

    Raises:
        _AttributesLostError: some or all of them cannot be read, or stored: the format has names in UTF-8 only.
    """
    follows = isinstance(target, int)
    try:
        names = os.listxattr(target, follow_symlinks=follows)
    except OSError as error:
        if error.errno in _NO_XATTRS:
            return ()
        raise _AttributesLostError((), f"stored without its extended attributes: {explain(error)}") from error
    if not names:
        return ()
    found = []
    lost = []
    # In the system's order, which is restic's: the same file must get the same node from both.
    for name in names:
        try:
            if not name.isascii():
                name.encode()
            found.append((os.fsencode(name), os.getxattr(target, name, follow_symlinks=follows)))
        except UnicodeEncodeError:
            lost.append(f"{quote_name(os.fsencode(name))}: its name is not UTF-8")
        except OSError as error:
            if error.errno not in _NO_XATTRS:
                lost.append(f"{quote_name(os.fsencode(name))}: {explain(error)}")
    if lost:
        raise _AttributesLostError(found, "stored without extended attributes: " + "; ".join(lost))
    return found


@lru_cache(maxsize=1024)
def _user(uid: int) -> str:
    try:
        return _text(pwd.getpwuid(uid).pw_name)
    except KeyError:
        return ""


@lru_cache(maxsize=1024)
def _group(gid: int) -> str:
    try:
        return _text(grp.getgrgid(gid).gr_name)
    except KeyError:
        return ""


def _text(name: str) -> str:
    """As JSON can hold it: other bytes than UTF-8 become replacement characters, as in restic."""
    return os.fsencode(name).decode("utf-8", "replace")
