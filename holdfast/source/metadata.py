"""Metadata of files as nodes: modes, owners and their names, times, links, devices, extended attributes (so ACLs)."""

import errno
import grp
import os
import pwd
import stat as modes
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from holdfast.format.tree import Node
from holdfast.ids import BlobId

_NO_XATTRS: Final = frozenset({errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENODATA})


class MetadataReader:
    """Builds nodes. with_atime: store access times as they are; else they equal the modification times, as restic's."""

    def __init__(self, *, with_atime: bool = False) -> None:
        self._with_atime = with_atime

    def file_node(
        self, fd: int, name: bytes, stat: os.stat_result, *, content: Sequence[BlobId], size: int
    ) -> Node:
        """The node of an open regular file with this content, of which `size` bytes were read.

        Raises:
            OSError: an extended attribute cannot be read.
        """
        return Node.of_file(
            name,
            stat,
            atime_ns=stat.st_atime_ns if self._with_atime else stat.st_mtime_ns,
            user=_user(stat.st_uid),
            group=_group(stat.st_gid),
            xattrs=_xattrs(fd),
            content=content,
            size=size,
        )

    def entry_node(self, directory: int, name: bytes, stat: os.stat_result) -> Node:
        """The node of an entry of an open directory; a file's has no content yet.

        Raises:
            OSError: an extended attribute or a link's target cannot be read.
        """
        target = os.readlink(name, dir_fd=directory) if modes.S_ISLNK(stat.st_mode) else b""
        path = b"/proc/self/fd/%d/%s" % (directory, name)
        return self._node(name, stat, xattrs=_xattrs(path), target=target, size=stat.st_size)

    def directory_node(self, path: bytes, name: bytes, stat: os.stat_result) -> Node:
        """The node of a directory above a root, by path.

        Raises:
            OSError: an extended attribute cannot be read.
        """
        return self._node(name, stat, xattrs=_xattrs(path), size=0)

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
    """Extended attributes of a descriptor, or of a path whose last part is not followed."""
    follows = isinstance(target, int)
    try:
        names = os.listxattr(target, follow_symlinks=follows)
    except OSError as error:
        if error.errno in _NO_XATTRS:
            return ()
        raise
    if not names:
        return ()
    found = []
    # In the system's order, which is restic's: the same file must get the same node from both.
    for name in names:
        try:
            found.append((os.fsencode(name), os.getxattr(target, name, follow_symlinks=follows)))
        except OSError as error:
            if error.errno not in _NO_XATTRS:
                raise
    return found


@lru_cache(maxsize=1024)
def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""


@lru_cache(maxsize=1024)
def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return ""
