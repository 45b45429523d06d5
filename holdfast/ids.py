"""Identities: distinct types over 32 raw bytes, so that a pack's id is never taken for a blob's.

In memory an id is always raw bytes. Hex appears only in JSON, in the names of stored files and in logs;
`to_hex` and `from_hex` are the two doors.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Final, NewType

from typing_extensions import Buffer

ID_BYTES: Final = 32
HEX_LENGTH: Final = 2 * ID_BYTES
_HEX_ID: Final = re.compile(rf"[0-9a-f]{{{HEX_LENGTH}}}", re.ASCII)
_HEX_DIGITS: Final = b"0123456789abcdef"
SHORT_HEX_LENGTH: Final = 8

BlobId = NewType("BlobId", bytes)
"""SHA-256 of a blob's plaintext."""

PackId = NewType("PackId", bytes)
"""SHA-256 of a pack file's stored bytes."""

IndexId = NewType("IndexId", bytes)
"""SHA-256 of an index file's stored bytes."""

SnapshotId = NewType("SnapshotId", bytes)
"""SHA-256 of a snapshot file's stored bytes."""

KeyId = NewType("KeyId", bytes)
"""SHA-256 of a key file's bytes."""

LockId = NewType("LockId", bytes)
"""SHA-256 of a lock file's stored bytes."""


def sha256(data: Buffer) -> bytes:
    """The 32 raw bytes of the SHA-256 of `data`."""
    return hashlib.sha256(data).digest()


def to_hex(raw: bytes) -> str:
    """The 64 lowercase hex digits that stored files use for an id."""
    return raw.hex()


def short(raw: bytes) -> str:
    """The first eight hex digits, as people see an id."""
    return raw.hex()[:SHORT_HEX_LENGTH]


def from_hex(text: str) -> bytes:
    """Parse 64 lowercase hex digits to 32 raw bytes.

    Raises:
        ValueError: `text` is anything else (parsers turn it into their typed error).
    """
    if not is_hex_id(text):
        raise ValueError(f"not a 64-digit lowercase hex id: {text[:80]!r}")
    return bytes.fromhex(text)


def are_hex_ids(texts: Sequence[str]) -> bool:
    """Whether all of them are. Looking at a thousand at once costs a fraction of looking at each."""
    if not set(map(len, texts)) <= {HEX_LENGTH}:
        return False
    joined = "".join(texts)
    return joined.isascii() and not joined.encode().translate(None, _HEX_DIGITS)


def is_hex_id(text: str) -> bool:
    """Whether `text` is exactly 64 lowercase hex digits."""
    return _HEX_ID.fullmatch(text) is not None
