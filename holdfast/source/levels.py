"""The open directories of a walk, and the cursor from which a walk in another process goes on. No rules are here."""

import os
from dataclasses import dataclass

import msgspec

from holdfast.errors import CorruptFileError
from holdfast.source.ways import Way


@dataclass(slots=True)
class Level:
    """One open directory of the walk.

    names: what is still to come, the next one last. inside: whether all of it is wanted; else it only leads to roots
    (and may hold a marker file). way: what of it leads to roots. entries_before: of a root, how many entries the walk
    had given when it began; -1 elsewhere. identity: device and inode. tells_left_out: that something is, is told.
    """

    path: bytes
    names: list[bytes]
    device: int
    inside: bool
    way: Way | None = None
    entries_before: int = -1
    identity: tuple[int, int] = (0, 0)
    fd: int = -1
    after: bytes = b""
    tells_left_out: bool = False

    @property
    def is_root(self) -> bool:
        return self.way is not None and self.way.is_root

    def skip_to(self, names: list[bytes], after: bytes) -> None:
        """Of these names, descending, those are to come that are greater than `after`."""
        self.names = [name for name in names if name > after] if after else names
        self.after = after

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """directory: the innermost open one. after: the last name seen in it, empty for none. done: nothing left in it.

    entries: how many were given, none of them a directory. empty_roots: of the roots that are open, how many of the
    innermost have given none so far.
    """

    directory: bytes
    after: bytes
    done: bool
    entries: int = 1
    empty_roots: int = 0

    @classmethod
    def of(cls, levels: list[Level], entries: int) -> bytes:
        """Where a walk with these open directories stands, as bytes."""
        last = levels[-1]
        empty = sum(level.entries_before == entries for level in levels)
        return msgspec.msgpack.encode(cls(last.path, last.after, not last.names, entries, empty))

    @classmethod
    def parse(cls, data: bytes) -> "Cursor":
        """Raises CorruptFileError for bytes that are no cursor."""
        try:
            return msgspec.msgpack.decode(data, type=cls)
        except msgspec.MsgspecError as error:
            raise CorruptFileError(f"the walk's cursor cannot be read: {error}") from error
