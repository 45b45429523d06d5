"""A lock says who uses the repository, and whether nobody else may. Source: restic, internal/repository/lock*.go.

`holdfast` is a field of ours, which restic does not know and so ignores: what makes a process number mean something.
"""

from typing import Final

import msgspec

from holdfast.errors import CorruptFileError
from holdfast.format.leniency import read
from holdfast.format.times import parse_time


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Which process of all that ever had its number. place: where that number counts; started: in the kernel's ticks.

    Both as repository/identity.py has them.
    """

    place: str
    started: int


class Lock(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One lock. time: RFC 3339, when it was last written. holdfast: only in locks of ours."""

    time: str
    exclusive: bool
    hostname: str
    username: str
    pid: int
    uid: int = 0
    gid: int = 0
    holdfast: Holder | None = None

    @property
    def time_ns(self) -> int:
        """Nanoseconds since 1970."""
        return parse_time(self.time)


_DECODER: Final = msgspec.json.Decoder(Lock)


def encode_lock(lock: Lock) -> bytes:
    """The JSON of a lock."""
    return msgspec.json.encode(lock)


def decode_lock(data: bytes) -> Lock:
    """A lock.

    Raises:
        CorruptFileError: not a lock, or with a time that is none.
    """
    try:
        lock = read(_DECODER, data, Lock.__struct_encode_fields__)
        parse_time(lock.time)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
        raise CorruptFileError(f"a lock cannot be read: {error}") from error
    return lock
