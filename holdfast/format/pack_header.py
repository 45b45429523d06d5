"""A pack's header is the list of blobs at its end.

    blob … blob || sealed(entries) || u32 little-endian length of the sealed entries

An entry is a type byte (0 data, 1 tree, 2 compressed data, 3 compressed tree), the sealed length as u32, for compressed
blobs the plain length as u32, and the blob's id.
Source: restic, doc/design.rst, "Pack Format"; internal/repository/pack.
"""

import struct
from collections.abc import Sequence
from typing import Final

from typing_extensions import Buffer

from holdfast.crypto.sealing import OVERHEAD_BYTES, Sealer
from holdfast.errors import CorruptFileError
from holdfast.format.index import (
    COMPRESSED_ENTRY_BYTES,
    HEADER_LENGTH_BYTES,
    PLAIN_ENTRY_BYTES,
    BlobEntry,
    BlobType,
)
from holdfast.ids import BlobId

MAX_HEADER_BYTES: Final = 16 * 1024 * 1024
_COMPRESSED: Final = 2
_LENGTH: Final = struct.Struct("<I")
_PLAIN_ENTRY: Final = struct.Struct("<BI32s")
_COMPRESSED_ENTRY: Final = struct.Struct("<BII32s")


def encode_header(blobs: Sequence[BlobEntry]) -> bytes:
    """The plaintext of a header."""
    parts = []
    for blob in blobs:
        if blob.uncompressed_length:
            kind = blob.type | _COMPRESSED
            parts.append(_COMPRESSED_ENTRY.pack(kind, blob.length, blob.uncompressed_length, blob.id))
        else:
            parts.append(_PLAIN_ENTRY.pack(blob.type, blob.length, blob.id))
    return b"".join(parts)


def encode_length(sealed_bytes: int) -> bytes:
    """The last four bytes of a pack."""
    return _LENGTH.pack(sealed_bytes)


def parse_pack(sealer: Sealer, pack: Buffer) -> tuple[BlobEntry, ...]:
    """The blobs that a whole pack holds.

    Raises:
        CorruptFileError: the header is not authentic or does not describe the file.
    """
    view = memoryview(pack).cast("B")
    return parse_tail(sealer, view, len(view))


def tail_length(tail: Buffer, pack_bytes: int) -> int:
    """How many bytes at the end of a pack its header and the length of that take. tail: some of them, four at least.

    Raises:
        CorruptFileError: no header of a pack of `pack_bytes` is so long.
    """
    if pack_bytes < HEADER_LENGTH_BYTES + OVERHEAD_BYTES:
        raise CorruptFileError("a pack is shorter than its header can be")
    (sealed_bytes,) = _LENGTH.unpack(memoryview(tail).cast("B")[-HEADER_LENGTH_BYTES:])
    if not OVERHEAD_BYTES <= sealed_bytes <= min(MAX_HEADER_BYTES, pack_bytes - HEADER_LENGTH_BYTES):
        raise CorruptFileError("a pack gives an impossible length for its header")
    return int(sealed_bytes) + HEADER_LENGTH_BYTES


def parse_tail(sealer: Sealer, tail: Buffer, pack_bytes: int) -> tuple[BlobEntry, ...]:
    """The blobs that a pack of this size holds. tail: its end, of `tail_length` or more.

    Raises:
        CorruptFileError: the header is not authentic or does not describe the file.
    """
    length = tail_length(tail, pack_bytes)
    view = memoryview(tail).cast("B")
    end = len(view) - HEADER_LENGTH_BYTES
    blobs = _decode_header(sealer.open(view[len(view) - length : end]))
    if sum(blob.length for blob in blobs) != pack_bytes - length:
        raise CorruptFileError("a pack's header does not describe all of its bytes")
    return blobs


def _decode_header(header: bytes) -> tuple[BlobEntry, ...]:
    blobs: list[BlobEntry] = []
    position = offset = 0
    while position < len(header):
        kind = header[position]
        compressed = bool(kind & _COMPRESSED)
        size = COMPRESSED_ENTRY_BYTES if compressed else PLAIN_ENTRY_BYTES
        if kind > (BlobType.TREE | _COMPRESSED) or position + size > len(header):
            raise CorruptFileError("a pack's header holds an entry of an unknown kind")
        plain = 0
        if compressed:
            _, length, plain, raw = _COMPRESSED_ENTRY.unpack_from(header, position)
        else:
            _, length, raw = _PLAIN_ENTRY.unpack_from(header, position)
        if length < OVERHEAD_BYTES:
            raise CorruptFileError("a pack's header holds a blob shorter than its overhead")
        blobs.append(
            BlobEntry(
                id=BlobId(raw),
                type=BlobType(kind & ~_COMPRESSED),
                offset=offset,
                length=length,
                uncompressed_length=plain,
            )
        )
        position += size
        offset += length
    return tuple(blobs)
