"""Nodes are the entries of trees, as the stored JSON spells them, with typed accessors.

A node mirrors its JSON, so that decoding and encoding cost next to nothing: the name is quoted, times are text, ids are
hex. What the engine uses are the accessors and `Node.create`. Source: restic, internal/data/node.go.
"""

import os
from collections.abc import Sequence
from typing import Final

import msgspec

from holdfast.errors import CorruptFileError
from holdfast.format.modes import DIRECTORY, FIFO, FILE, SOCKET, SYMLINK, kind_and_mode, st_mode
from holdfast.format.names import quote_name, unquote_name
from holdfast.format.times import ZERO_TIME, format_time, parse_time
from holdfast.ids import BlobId, from_hex, to_hex

MORE: Final = "holdfast-more"
"""The name of `Node.more` in the documents of runs; never in a tree."""
_WITHOUT_LINKS: Final = frozenset((DIRECTORY, SOCKET))
"""Kinds of which no number of links is stored; of a fifo restic stores none either, so there is one only above 1."""


class ExtendedAttribute(msgspec.Struct, frozen=True, gc=False):
    """One extended attribute; the value is base64 in JSON, and some writers store null for an empty one."""

    name: str | None = None
    value: bytes | None = None


class Node(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, forbid_unknown_fields=True
):
    """One entry of a tree. The order of the fields is restic's. What other writers leave out is zero, as in Go.

    more: members that are not known here, as raw JSON without braces; trees keep them in their place (tree.py).

    Nothing in a node leads back to it, so the collector of cycles need not look at the hundred thousands of them.
    """

    quoted_name: str = msgspec.field(name="name")
    kind: str = msgspec.field(name="type")
    mode: int = 0
    # A factory makes msgspec write the zero as well, as restic does: the same tree must have the same bytes.
    mtime: str = msgspec.field(default_factory=lambda: ZERO_TIME)
    atime: str = msgspec.field(default_factory=lambda: ZERO_TIME)
    ctime: str = msgspec.field(default_factory=lambda: ZERO_TIME)
    uid: int = msgspec.field(default_factory=int)
    gid: int = msgspec.field(default_factory=int)
    user: str = ""
    group: str = ""
    inode: int = 0
    device_id: int = 0
    size: int = 0
    links: int = 0
    linktarget: str = ""
    linktarget_raw: bytes | None = None
    extended_attributes: tuple[ExtendedAttribute, ...] = ()
    device: int = 0
    content: tuple[str, ...] | None = msgspec.field(default_factory=lambda: None)
    subtree: str | None = None
    error: str = ""
    more: bytes = msgspec.field(name=MORE, default=b"")

    @classmethod
    def create(  # noqa: PLR0913 -- a node has this many fields; all go by name
        cls,
        *,
        name: bytes,
        st_mode: int,
        uid: int,
        gid: int,
        mtime_ns: int,
        atime_ns: int,
        ctime_ns: int,
        user: str = "",
        group: str = "",
        inode: int = 0,
        device_id: int = 0,
        size: int = 0,
        links: int = 0,
        device: int = 0,
        target: bytes = b"",
        xattrs: Sequence[tuple[bytes, bytes]] = (),
        content: Sequence[BlobId] | None = None,
    ) -> "Node":
        """A node from what the file system says. A file without `content` yet gets an empty one.

        device_id is kept for hard links only, as restic does; size for files only.

        Raises:
            ValueError: `st_mode` has a type that POSIX does not know.
        """
        kind, mode = kind_and_mode(st_mode)
        is_file = kind == FILE
        text, raw = _target(target) if target else ("", None)
        mtime = format_time(mtime_ns)
        return cls(
            quoted_name=quote_name(name),
            kind=kind,
            mode=mode,
            mtime=mtime,
            atime=mtime if atime_ns == mtime_ns else format_time(atime_ns),
            ctime=format_time(ctime_ns),
            uid=uid,
            gid=gid,
            user=user,
            group=group,
            inode=inode,
            device_id=device_id if links > 1 and kind not in _WITHOUT_LINKS else 0,
            size=size if is_file else 0,
            links=0 if kind in _WITHOUT_LINKS or (kind == FIFO and links == 1) else links,
            linktarget=text,
            linktarget_raw=raw,
            extended_attributes=tuple(map(_attribute, xattrs)) if xattrs else (),
            device=device,
            content=tuple([blob.hex() for blob in content or ()]) if is_file else None,
        )

    @classmethod
    def of_file(
        cls,
        name: bytes,
        status: os.stat_result,
        *,
        atime_ns: int,
        user: str,
        group: str,
        xattrs: Sequence[tuple[bytes, bytes]],
        content: Sequence[BlobId],
        size: int,
    ) -> "Node":
        """What `create` makes of a regular file with this status, in two thirds of the time.

        A backup makes one for each file that it reads: handing on twenty values from call to call shows there.
        """
        kind, mode = kind_and_mode(status.st_mode)
        mtime_ns, links = status.st_mtime_ns, status.st_nlink
        mtime = format_time(mtime_ns)
        return cls(
            quoted_name=quote_name(name),
            kind=kind,
            mode=mode,
            mtime=mtime,
            atime=mtime if atime_ns == mtime_ns else format_time(atime_ns),
            ctime=format_time(status.st_ctime_ns),
            uid=status.st_uid,
            gid=status.st_gid,
            user=user,
            group=group,
            inode=status.st_ino,
            device_id=status.st_dev if links > 1 else 0,
            size=size,
            links=links,
            extended_attributes=tuple(map(_attribute, xattrs)) if xattrs else (),
            content=tuple([blob.hex() for blob in content]),
        )

    @property
    def name(self) -> bytes:
        """The file name. Raises ValueError for text that quotes no name (`decode_tree` has refused that)."""
        return unquote_name(self.quoted_name)

    @property
    def is_file(self) -> bool:
        return self.kind == FILE

    @property
    def is_directory(self) -> bool:
        return self.kind == DIRECTORY

    @property
    def is_symlink(self) -> bool:
        return self.kind == SYMLINK

    @property
    def st_mode(self) -> int:
        """POSIX's mode with its type bits."""
        return st_mode(self.kind, self.mode)

    @property
    def mtime_ns(self) -> int:
        return _time(self.mtime)

    @property
    def atime_ns(self) -> int:
        return _time(self.atime)

    @property
    def ctime_ns(self) -> int:
        return _time(self.ctime)

    @property
    def content_ids(self) -> tuple[BlobId, ...]:
        """The data blobs of a file, in order."""
        return tuple(BlobId(bytes.fromhex(text)) for text in self.content or ())

    @property
    def subtree_id(self) -> BlobId | None:
        """The tree of a directory."""
        return None if self.subtree is None else BlobId(from_hex(self.subtree))

    @property
    def target(self) -> bytes:
        """What a symlink points to."""
        return self.linktarget.encode() if self.linktarget_raw is None else self.linktarget_raw

    @property
    def xattrs(self) -> tuple[tuple[bytes, bytes], ...]:
        """Extended attributes as name and value."""
        return tuple(((a.name or "").encode(), a.value or b"") for a in self.extended_attributes)

    def with_subtree(self, tree: BlobId, mark: str = "") -> "Node":
        """The same directory with this tree. mark: what keeps it from being covered (see format/coverage.py)."""
        return msgspec.structs.replace(self, subtree=to_hex(tree), error=mark)

    def with_content(self, content: Sequence[BlobId], *, size: int) -> "Node":
        """The same file with this content, `size` bytes long."""
        return msgspec.structs.replace(self, content=tuple(to_hex(blob) for blob in content), size=size)

    def with_ctime(self, ctime_ns: int) -> "Node":
        """The same with this time of change."""
        return msgspec.structs.replace(self, ctime=format_time(ctime_ns))


def _attribute(pair: tuple[bytes, bytes]) -> ExtendedAttribute:
    return ExtendedAttribute(pair[0].decode("utf-8", "replace"), pair[1])


def _time(text: str) -> int:
    try:
        return parse_time(text)
    except ValueError as error:
        raise CorruptFileError(f"a node holds a time that is none: {error}") from error


def _target(target: bytes) -> tuple[str, bytes | None]:
    """linktarget and linktarget_raw: the raw bytes are stored only where text cannot say them."""
    try:
        return target.decode(), None
    except UnicodeDecodeError:
        return target.decode("utf-8", "replace"), target
