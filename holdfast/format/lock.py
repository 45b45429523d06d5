"""Locks: who uses the repository, and whether nobody else may. Source: restic, internal/repository/lock*.go."""

from typing import Final

import msgspec

from holdfast.errors import CorruptFileError
from holdfast.format.times import parse_time


class Lock(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One lock. time: RFC 3339, when it was last written."""

    time: str
    exclusive: bool
    hostname: str
    username: str
    pid: int
    uid: int = 0
    gid: int = 0

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
        lock = _DECODER.decode(data)
        parse_time(lock.time)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
        raise CorruptFileError(f"a lock cannot be read: {error}") from error
    return lock
