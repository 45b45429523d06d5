"""Keys of open repositories lie in memory that the worker processes of a service share.

Deriving a key from its password takes half a second of processor time, on purpose. The first worker that opens a
repository puts the key here, and the others take it from here. An entry is found by the repository's config file as it
is now together with the password: neither a repository made again at the same place nor a wrong password finds one.

The memory has no name and is inherited by descriptor, so it is as secret as that of the processes themselves. A fixed
number of slots; a later key may take an earlier one's, which then costs half a second again.
"""

import fcntl
import mmap
import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from holdfast.ids import sha256

_SLOTS: Final = 256
_SLOT: Final = struct.Struct("<32sH222s")
_TABLE_BYTES: Final = _SLOTS * _SLOT.size


class SharedKeys:
    """The keys. Thread-safe, and safe beside other processes."""

    def __init__(self, descriptor: int = -1) -> None:
        """descriptor: of a memory file that `create_file` made; -1 for keys of this process alone."""
        self._descriptor = self.create_file() if descriptor < 0 else descriptor
        self._table = mmap.mmap(self._descriptor, _TABLE_BYTES)
        self._lock = threading.Lock()

    @staticmethod
    def create_file() -> int:
        """The descriptor of memory without keys and without a name, for children to inherit."""
        descriptor = os.memfd_create("holdfast-keys")
        os.ftruncate(descriptor, _TABLE_BYTES)
        return descriptor

    def get(self, config_hash: bytes, password: bytes) -> bytes | None:
        """The key of the repository whose config file has this SHA-256, if it is here (`Repository.handed_key`)."""
        wanted = sha256(config_hash + password)
        with self._alone():
            owner, length, key = _SLOT.unpack_from(self._table, _offset(wanted))
        return key[:length] if owner == wanted else None

    def put(self, config_hash: bytes, password: bytes, key: bytes) -> None:
        """Let the other processes have a key, of 222 bytes at most."""
        owner = sha256(config_hash + password)
        with self._alone():
            _SLOT.pack_into(self._table, _offset(owner), owner, len(key), key)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._lock:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN)


def _offset(owner: bytes) -> int:
    return owner[0] % _SLOTS * _SLOT.size
