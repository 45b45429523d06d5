"""Index files say which blobs lie in which pack, where, and how long.

JSON: `{"supersedes":[…],"packs":[{"id","blobs":[{"id","type","offset","length","uncompressed_length"}]}]}`.
A pack's entry must be complete: its blobs and its header make up the file's size exactly.
Source: restic, doc/design.rst, "Indexing".

Files are read and written as columns, at about a microsecond per blob: repositories have up to tens of millions of
blobs, and an object for each costs five times the time and the memory. Objects are for the packs of one piece of work.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import accumulate
from typing import Annotated, Final, Literal

import msgspec

from holdfast.crypto.sealing import OVERHEAD_BYTES
from holdfast.errors import CorruptFileError
from holdfast.ids import HEX_LENGTH, ID_BYTES, BlobId, PackId, from_hex, to_hex

HEADER_LENGTH_BYTES: Final = 4
PLAIN_ENTRY_BYTES: Final = 37
COMPRESSED_ENTRY_BYTES: Final = 41
MAX_OFFSET: Final = (1 << 32) - 1
_ID: Final = struct.Struct(f"{ID_BYTES}s")


class BlobType(IntEnum):
    """What a blob holds. The numbers are those of pack headers."""

    DATA = 0
    TREE = 1


_TypeName = Literal["data", "tree"]
_NAMES: Final[dict[BlobType, _TypeName]] = {BlobType.DATA: "data", BlobType.TREE: "tree"}
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


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexPack:
    """One pack with all its blobs, by offset."""

    id: PackId
    blobs: tuple[BlobEntry, ...]

    @property
    def size_bytes(self) -> int:
        """What the pack's file must measure: blobs, sealed header, header length."""
        tail = tail_bytes([blob.uncompressed_length for blob in self.blobs])
        return sum(blob.length for blob in self.blobs) + tail

    @property
    def columns(self) -> "PackColumns":
        """The same as columns."""
        blobs = self.blobs
        return PackColumns(
            id=self.id,
            ids=b"".join([blob.id for blob in blobs]),
            types=[blob.type for blob in blobs],
            offsets=[blob.offset for blob in blobs],
            lengths=[blob.length for blob in blobs],
            uncompressed_lengths=[blob.uncompressed_length for blob in blobs],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PackColumns:
    """One pack; entry i of each column speaks of blob i, by ascending offset. `ids`: the raw ids, end to end."""

    id: PackId
    ids: bytes
    types: Sequence[BlobType]
    offsets: Sequence[int]
    lengths: Sequence[int]
    uncompressed_lengths: Sequence[int]

    @property
    def pack(self) -> IndexPack:
        """The same as objects."""
        blobs = [
            BlobEntry(id=BlobId(blob), type=kind, offset=offset, length=length, uncompressed_length=plain)
            for (blob,), kind, offset, length, plain in zip(
                _ID.iter_unpack(self.ids),
                self.types,
                self.offsets,
                self.lengths,
                self.uncompressed_lengths,
                strict=True,
            )
        ]
        return IndexPack(id=self.id, blobs=tuple(blobs))


_HexId = Annotated[str, msgspec.Meta(min_length=HEX_LENGTH, max_length=HEX_LENGTH)]
_Length = Annotated[int, msgspec.Meta(ge=0, le=MAX_OFFSET)]


class _Blob(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    id: _HexId
    type: _TypeName
    offset: _Length
    length: Annotated[int, msgspec.Meta(ge=OVERHEAD_BYTES, le=MAX_OFFSET)]
    uncompressed_length: _Length | None = 0


class _Pack(msgspec.Struct, frozen=True, gc=False):
    id: _HexId
    blobs: list[_Blob] | None = None


class _Index(msgspec.Struct, frozen=True, gc=False):
    packs: list[_Pack] | None = None


class _MarkedPack(_Pack, frozen=True, gc=False, kw_only=True):
    time: str


class _MarkingIndex(msgspec.Struct, frozen=True, gc=False):
    packs: list[_Pack]
    packs_to_delete: list[_MarkedPack]


_DECODER: Final = msgspec.json.Decoder(_Index)


def tail_bytes(uncompressed_lengths: Sequence[int]) -> int:
    """What a pack's sealed header and its length take, behind blobs of these uncompressed lengths."""
    plain = uncompressed_lengths.count(0)
    entries = PLAIN_ENTRY_BYTES * plain + COMPRESSED_ENTRY_BYTES * (len(uncompressed_lengths) - plain)
    return entries + OVERHEAD_BYTES + HEADER_LENGTH_BYTES


def encode_index(packs: Iterable[PackColumns]) -> bytes:
    """The JSON of an index file."""
    return msgspec.json.encode(_Index(packs=[_wire(pack) for pack in packs]))


def encode_marking_index(marked: Iterable[PackColumns], time: str) -> bytes:
    """The JSON of an index file that says that packs will be deleted, as rustic writes it; restic ignores it.

    time: RFC 3339, when they were marked.
    """
    packs = [_MarkedPack(wire.id, wire.blobs, time=time) for wire in map(_wire, marked)]
    return msgspec.json.encode(_MarkingIndex(packs=[], packs_to_delete=packs))


def decode_index(data: bytes) -> list[PackColumns]:
    """The packs of an index file.

    Raises:
        CorruptFileError: not an index; blobs that overlap, leave gaps, or lie beyond what a pack can hold.
    """
    try:
        return [_columns(pack) for pack in _DECODER.decode(data).packs or ()]
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
        raise CorruptFileError(f"an index file cannot be read: {error}") from error


def _wire(pack: PackColumns) -> _Pack:
    digits = pack.ids.hex()
    ids = [digits[at : at + HEX_LENGTH] for at in range(0, len(digits), HEX_LENGTH)]
    names = [_NAMES[kind] for kind in pack.types]
    return _Pack(
        to_hex(pack.id),
        list(map(_Blob, ids, names, pack.offsets, pack.lengths, pack.uncompressed_lengths)),
    )


def _columns(pack: _Pack) -> PackColumns:
    blobs = pack.blobs or []
    offsets = [blob.offset for blob in blobs]
    lengths = [blob.length for blob in blobs]
    ends = list(accumulate(lengths, initial=0))
    if offsets != ends[:-1]:
        blobs = sorted(blobs, key=lambda blob: blob.offset)
        offsets = [blob.offset for blob in blobs]
        lengths = [blob.length for blob in blobs]
        ends = list(accumulate(lengths, initial=0))
        if offsets != ends[:-1]:
            raise ValueError(f"the blobs of pack {pack.id[:8]} overlap or leave gaps")
    if ends[-1] > MAX_OFFSET:
        raise ValueError(f"pack {pack.id[:8]} would be larger than 4 GiB")
    return PackColumns(
        id=PackId(from_hex(pack.id)),
        ids=_raw_ids(blobs),
        types=[_TYPES[blob.type] for blob in blobs],
        offsets=offsets,
        lengths=lengths,
        uncompressed_lengths=[blob.uncompressed_length or 0 for blob in blobs],  # rustic's prune writes null
    )


def _raw_ids(blobs: Sequence[_Blob]) -> bytes:
    """All ids at once: each has the right length, so together they must give whole lowercase ids and nothing less."""
    digits = "".join([blob.id for blob in blobs])
    raw = bytes.fromhex(digits)
    if len(raw) != ID_BYTES * len(blobs) or digits != digits.lower():
        raise ValueError("a blob's id is not 64 lowercase hex digits")
    return raw
