"""What a stored node says about owner, mode, times and extended attributes, checked: it may come from anywhere."""

import stat
from typing import Final

from holdfast.errors import CorruptFileError
from holdfast.format.tree import Node
from holdfast.safe_fs.attributes import Attributes

_NO_ID: Final = 0xFFFF_FFFF
"""As an owner this means "leave as it is" to the kernel."""

_PLAIN_MODE: Final = 0o777
"""Up to here, Go's mode is POSIX's."""


def attributes_of(node: Node) -> Attributes:
    """The attributes that the node's entry shall have on disk.

    Raises:
        CorruptFileError: they are none that a file can have.
    """
    xattrs = node.xattrs if node.extended_attributes else ()
    if not (0 <= node.uid < _NO_ID and 0 <= node.gid < _NO_ID):
        raise CorruptFileError("the snapshot has an owner for it that is no user or group id")
    if xattrs and any(b"\0" in name or not name for name, _ in xattrs):
        raise CorruptFileError("the snapshot has an attribute for it that has no proper name")
    mtime_ns = node.mtime_ns
    return Attributes(
        mode=node.mode if 0 <= node.mode <= _PLAIN_MODE else stat.S_IMODE(node.st_mode),
        uid=node.uid,
        gid=node.gid,
        mtime_ns=mtime_ns,
        atime_ns=mtime_ns if node.atime == node.mtime else node.atime_ns,
        xattrs=xattrs,
    )
