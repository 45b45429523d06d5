"""Index files: which blobs lie in which pack, where, and how long.

JSON: `{"supersedes":[…],"packs":[{"id","blobs":[{"id","type","offset","length","uncompressed_length"}]}]}`.
A pack's entry must be complete: its blobs and its header make up the file's size exactly.
Source: restic, doc/design.rst, "Indexing".
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import msgspec

from holdfast.crypto.sealing import OVERHEAD_BYTES
from holdfast.errors import CorruptFileError
from holdfast.ids import BlobId, PackId, from_hex, to_hex

HEADER_LENGTH_BYTES: Final = 4
PLAIN_ENTRY_BYTES: Final = 37
COMPRESSED_ENTRY_BYTES: Final = 41
MAX_OFFSET: Final = (1 << 32) - 1


class BlobType(IntEnum):
    """What a blob holds. The numbers are those of pack headers."""

    DATA = 0
    TREE = 1


_NAMES: Final = {BlobType.DATA: "data", BlobType.TREE: "tree"}
_TYPES: Final = {name: kind for kind, name in _NAMES.items()}


class BlobEntry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One blob in a pack. offset, length: of the sealed bytes. uncompressed_length: 0 where it is not compressed."""

    id: BlobId
    type: BlobType
    offset: int
    length: int
    uncompressed_length: int

    @property
    def plaintext_bytes(self) -> int:
        """The length of the blob itself."""
        return self.uncompressed_length or self.length - OVERHEAD_BYTES

    @property
    def header_bytes(self) -> int:
        """The length of its entry in the pack's header."""
        return COMPRESSED_ENTRY_BYTES if self.uncompressed_length else PLAIN_ENTRY_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexPack:
    """One pack with all its blobs, by offset."""

    id: PackId
    blobs: tuple[BlobEntry, ...]

    @property
    def size_bytes(self) -> int:
        """What the pack's file must measure: blobs, sealed header, header length."""
        header = sum(blob.header_bytes for blob in self.blobs) + OVERHEAD_BYTES
        return sum(blob.length for blob in self.blobs) + header + HEADER_LENGTH_BYTES


class WireBlob(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A blob as the JSON spells it."""

    id: str
    type: str
    offset: int
    length: int
    uncompressed_length: int | None = 0


class WirePack(msgspec.Struct, frozen=True, gc=False):
    """A pack as the JSON spells it."""

    id: str
    blobs: list[WireBlob] | None = None


class _WireIndex(msgspec.Struct, frozen=True, omit_defaults=True):
    supersedes: list[str] | None = None
    packs: list[WirePack] | None = None


_DECODER: Final = msgspec.json.Decoder(_WireIndex)


def encode_index(packs: Iterable[IndexPack]) -> bytes:
    """The JSON of an index file."""
    wire = [
        WirePack(
            to_hex(pack.id),
            [
                WireBlob(to_hex(b.id), _NAMES[b.type], b.offset, b.length, b.uncompressed_length)
                for b in pack.blobs
            ],
        )
        for pack in packs
    ]
    return msgspec.json.encode(_WireIndex(packs=wire))


def decode_index(data: bytes) -> list[IndexPack]:
    """The packs of an index file.

    Raises:
        CorruptFileError: not an index; blobs that overlap, leave gaps, or lie beyond what a pack can hold.
    """
    try:
        wire = _DECODER.decode(data)
        return [_pack(pack) for pack in wire.packs or ()]
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, KeyError) as error:
        raise CorruptFileError(f"an index file cannot be read: {error}") from error


def check_layout(blobs: Sequence[BlobEntry]) -> None:
    """Blobs must follow each other from offset 0 without gap or overlap.

    Raises:
        ValueError: they do not.
    """
    end = 0
    for blob in blobs:
        if blob.offset != end or blob.length < OVERHEAD_BYTES or blob.uncompressed_length < 0:
            raise ValueError(f"blob {to_hex(blob.id)[:8]} does not lie where the one before ends")
        end += blob.length
        if end > MAX_OFFSET:
            raise ValueError("a pack larger than 4 GiB")


def _pack(wire: WirePack) -> IndexPack:
    blobs = sorted((_blob(blob) for blob in wire.blobs or ()), key=lambda blob: blob.offset)
    check_layout(blobs)
    return IndexPack(id=PackId(from_hex(wire.id)), blobs=tuple(blobs))


def _blob(wire: WireBlob) -> BlobEntry:
    return BlobEntry(
        id=BlobId(from_hex(wire.id)),
        type=_TYPES[wire.type],
        offset=wire.offset,
        length=wire.length,
        uncompressed_length=wire.uncompressed_length or 0,  # rustic writes null
    )
