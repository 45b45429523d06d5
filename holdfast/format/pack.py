"""A pack is made of blobs, compressed and sealed one after the other into one reused buffer, the header last.

Tree blobs are always compressed in version 2, data blobs unless compression is off; a blob that does not shrink, or is
empty, stays raw. Source: restic, doc/design.rst, "Pack Format"; internal/repository/repository.go, `saveAndEncrypt`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

import zstandard
from msgspec.structs import replace
from typing_extensions import Buffer

from holdfast.buffers import BUFFERS
from holdfast.chunker import MAX_CHUNK_BYTES
from holdfast.crypto.sealing import OVERHEAD_BYTES, MasterKey, Sealer
from holdfast.errors import CorruptFileError
from holdfast.format.index import BlobEntry, BlobType, IndexPack, tail_bytes
from holdfast.format.pack_header import encode_header, encode_length, parse_pack
from holdfast.ids import BlobId, PackId, sha256

__all__ = [
    "DEFAULT_PACK_SIZE_BYTES",
    "BlobCompressor",
    "BlobDecoder",
    "Compressed",
    "Compression",
    "FinishedPack",
    "PackBuffer",
    "parse_pack",
]

DEFAULT_PACK_SIZE_BYTES: Final = 16 << 20
MAX_BLOB_BYTES: Final = 1 << 30
_VERSION_WITH_COMPRESSION: Final = 2
_AUTO_LEVEL: Final = 2
"""What stores as much as restic's default does: docs/adr/0014-compression-levels.md."""
_MAX_LEVEL: Final = 11
_SAMPLED_BYTES: Final = range(256 * 1024, MAX_CHUNK_BYTES // 2)
"""Sizes of blobs that are sampled: a chunk comes to be larger where data repeats itself, which samples do not show."""
_SAMPLES: Final = 8
_SAMPLE_BYTES: Final = 4096
_TRIED_ANYWAY: Final = 8
"""Of large blobs in a row that do not shrink, every eighth is compressed whatever its samples say."""
_SPARE_BYTES: Final = MAX_CHUNK_BYTES + 1024 * 1024
"""Room for the blob that fills a pack, and for the header. Memory that is never written to costs nothing."""


Plaintext = bytes | bytearray | memoryview
"""A blob's bytes; a view is one of bytes, without gaps."""


class Compression(StrEnum):
    """How hard data is compressed; the names are restic's."""

    AUTO = "auto"
    OFF = "off"
    MAX = "max"


class Compressed(NamedTuple):
    """A blob as it will be sealed: `data`, which expands to `plain_bytes`, or is as it was where that is 0."""

    data: Plaintext
    plain_bytes: int


class BlobCompressor:
    """Compresses blobs of one type. One thread at a time; what zstd needs is kept.

    After a large blob that did not shrink, samples of the next one are compressed first, and all of it only if one of
    them shrinks. What no sample shows is missed in seven large blobs in a row at most: docs/adr/0028-samples-first.md.
    """

    def __init__(self, blob_type: BlobType, compression: Compression, version: int) -> None:
        level = _MAX_LEVEL if compression is Compression.MAX else _AUTO_LEVEL
        self._compressor = zstandard.ZstdCompressor(level=level)
        self._in_vain = 0
        self._compresses = version >= _VERSION_WITH_COMPRESSION and (
            blob_type is BlobType.TREE or compression is not Compression.OFF
        )

    def compress(self, plaintext: Plaintext) -> Compressed:
        """A blob, or its own bytes where it does not shrink."""
        size = len(plaintext)
        is_sampled = size in _SAMPLED_BYTES
        if size and self._compresses and not (is_sampled and self._is_hopeless(plaintext)):
            compressed = self._compressor.compress(plaintext)
            if len(compressed) < size:
                self._in_vain = 0
                return Compressed(compressed, size)
        self._in_vain += is_sampled
        return Compressed(plaintext, 0)

    def _is_hopeless(self, plaintext: Plaintext) -> bool:
        """Whether a large blob comes after one that did not shrink, and none of its samples does either."""
        if self._in_vain % _TRIED_ANYWAY == 0:
            return False
        last = len(plaintext) - _SAMPLE_BYTES
        samples = (plaintext[at : at + _SAMPLE_BYTES] for at in range(0, last, last // _SAMPLES))
        return all(len(self._compressor.compress(sample)) >= _SAMPLE_BYTES for sample in samples)


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedPack:
    """A pack ready to be stored. `data` is valid until the buffer is reset."""

    id: PackId
    data: memoryview
    pack: IndexPack


class PackBuffer:
    """One pack being filled. Reusable: `add` … `finish`, store, `reset`."""

    def __init__(self, blob_type: BlobType, capacity_bytes: int) -> None:
        self._type = blob_type
        self._view = BUFFERS.take(capacity_bytes + _SPARE_BYTES)
        self._blobs: list[BlobEntry] = []
        self._used = 0

    @property
    def size_bytes(self) -> int:
        """Bytes of sealed blobs so far."""
        return self._used

    @property
    def blob_count(self) -> int:
        """Blobs so far."""
        return len(self._blobs)

    def add(self, sealer: Sealer, blob_id: BlobId, blob: Compressed) -> None:
        """Seal and append one blob."""
        data, plain_bytes = blob
        used = self._used
        end = used + len(data) + OVERHEAD_BYTES
        if end > len(self._view):
            self._grow(end)
        length = sealer.seal_into(data, self._view[used:end])
        self._blobs.append(
            BlobEntry(
                id=blob_id, type=self._type, offset=used, length=length, uncompressed_length=plain_bytes
            )
        )
        self._used = end

    @property
    def filled(self) -> tuple[memoryview, Sequence[BlobEntry]]:
        """The sealed blobs so far, and where they are."""
        return self._view[: self._used], self._blobs

    def take_over(self, other: "PackBuffer") -> None:
        """Append what another pack of the same type has; that one is as it was."""
        data, blobs = other.filled
        start, end = self._used, self._used + len(data)
        if end > len(self._view):
            self._grow(end)
        self._view[start:end] = data
        self._blobs += [replace(blob, offset=start + blob.offset) for blob in blobs]
        self._used = end

    def finish(self, sealer: Sealer) -> FinishedPack:
        """Append the header and hash the whole."""
        header = encode_header(self._blobs)
        size = self._used + tail_bytes([blob.uncompressed_length for blob in self._blobs])
        if size > len(self._view):
            self._grow(size)
        sealed_bytes = sealer.seal_into(header, self._view[self._used :])
        self._used += sealed_bytes
        tail = encode_length(sealed_bytes)
        self._view[self._used : self._used + len(tail)] = tail
        self._used += len(tail)
        data = self._view[: self._used]
        pack_id = PackId(sha256(data))
        return FinishedPack(id=pack_id, data=data, pack=IndexPack(id=pack_id, blobs=tuple(self._blobs)))

    def release(self) -> None:
        """Hand the memory on; the buffer is of no use afterwards."""
        BUFFERS.give_back(self._view)
        self._view = self._view[:0]

    def reset(self) -> None:
        """Begin an empty pack in the same memory."""
        self._blobs = []
        self._used = 0

    def _grow(self, size: int) -> None:
        """Make room for `size` bytes in all, elsewhere: views of what there is may still be about."""
        grown = BUFFERS.take(size + _SPARE_BYTES)
        grown[: self._used] = self._view[: self._used]
        self._view = grown


class BlobDecoder:
    """Opens blobs and checks them against their ids. One thread at a time."""

    def __init__(self, key: MasterKey) -> None:
        self._sealer = Sealer(key)
        self._decompressor = zstandard.ZstdDecompressor()

    def decode(self, sealed: Buffer, entry: BlobEntry) -> bytes:
        """The plaintext of a blob: authentic, bounded, and hashing to its id.

        Raises:
            CorruptFileError: any of these fails.
        """
        return self._plaintext(self._sealer.open(sealed), entry)

    def open(self, sealed: Buffer, entry: BlobEntry) -> Compressed:
        """A blob as it was before it was sealed, looked at as by `decode`: to be sealed again. Raises as that."""
        opened = self._sealer.open(sealed)
        self._plaintext(opened, entry)
        return Compressed(opened, entry.uncompressed_length)

    def _plaintext(self, opened: bytes, entry: BlobEntry) -> bytes:
        plaintext = self._expand(opened, entry) if entry.uncompressed_length else opened
        if sha256(plaintext) != entry.id:
            raise CorruptFileError(f"blob {entry.id.hex()[:8]} does not hash to its id")
        return plaintext

    def first_unsound(self, pack: memoryview, entries: Sequence[BlobEntry]) -> BlobEntry | None:
        """Check blobs that lie in the memory of their pack, which is overwritten on the way; the first unsound one."""
        opened = self._sealer.open_in_place(pack, [(entry.offset, entry.length) for entry in entries])
        for entry, (view, authentic) in zip(entries, opened, strict=True):
            if not authentic:
                return entry
            try:
                plaintext = self._expand(view, entry) if entry.uncompressed_length else view
            except CorruptFileError:
                return entry
            if sha256(plaintext) != entry.id:
                return entry
        return None

    def decode_in_place(
        self, data: memoryview, entries: Sequence[BlobEntry], start: int
    ) -> Iterator[tuple[BlobId, bytes | memoryview]]:
        """The plaintexts of blobs in the memory of a read, which is overwritten; `start`: its place in the pack.

        Raises:
            CorruptFileError: one is not authentic, bounded, or what its id says.
        """
        if any(entry.length < OVERHEAD_BYTES for entry in entries):
            raise CorruptFileError("a sealed blob is shorter than its own overhead")
        opened = self._sealer.open_in_place(data, [(entry.offset - start, entry.length) for entry in entries])
        for entry, (view, authentic) in zip(entries, opened, strict=True):
            if not authentic:
                raise CorruptFileError(
                    f"blob {entry.id.hex()[:8]} is not authentic: damaged, or another key's"
                )
            plaintext = self._expand(view, entry) if entry.uncompressed_length else view
            if sha256(plaintext) != entry.id:
                raise CorruptFileError(f"blob {entry.id.hex()[:8]} does not hash to its id")
            yield entry.id, plaintext

    def _expand(self, data: bytes | memoryview, entry: BlobEntry) -> bytes:
        """Expand one frame; restic leaves the content size out of some, and then the index's bounds it."""
        limit = entry.uncompressed_length
        if limit > MAX_BLOB_BYTES:
            raise CorruptFileError("a blob claims to be larger than a GiB")
        try:
            declared = zstandard.frame_content_size(data)
            if declared not in (-1, limit):
                raise CorruptFileError(f"a blob expands to {declared} bytes, and not to {limit}")
            return self._decompressor.decompress(data, max_output_size=limit)
        except zstandard.ZstdError as error:
            raise CorruptFileError(f"a blob cannot be expanded: {error}") from error
