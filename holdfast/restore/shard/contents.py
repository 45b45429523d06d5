"""Compares what a file on disk holds with the blobs that it should consist of, hash by hash.

Holes are not read: what the file system knows to be empty is compared by the hash of as many zeros.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from holdfast.errors import BlobMissingError
from holdfast.format.index import BlobType
from holdfast.ids import ID_BYTES, BlobId, short
from holdfast.repository.index.map import BlobLocation, IndexMap
from holdfast.restore.shard.zeros import zero_blob_id
from holdfast.safe_fs.sparse import is_hole

BUFFER_BYTES = 8 * 1024 * 1024
_STATUS_BLOCK_BYTES = 512


class Piece(msgspec.Struct, frozen=True, gc=False):
    """A blob's place in a file, and where the repository has it."""

    blob: BlobId
    offset: int
    length: int
    location: BlobLocation


def pieces_of(index: IndexMap, content: bytes, start: int) -> list[Piece]:
    """The places of a file's (or segment's) blobs; `content` is their ids, one after the other.

    Raises:
        BlobMissingError: a blob is in no index (any more).
    """
    pieces: list[Piece] = []
    offset = start
    for position in range(0, len(content), ID_BYTES):
        blob = BlobId(content[position : position + ID_BYTES])
        location = index.lookup(blob, BlobType.DATA)
        if location is None:
            raise BlobMissingError(f"blob {short(blob)} is in no index of the repository")
        length = location.entry.plaintext_bytes
        pieces.append(Piece(blob, offset, length, location))
        offset += length
    return pieces


class ContentReader:
    """Reads back and hashes, with one reused buffer. Belongs to one thread."""

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray())

    def differing(
        self, fd: int, pieces: Iterable[Piece], on_bytes: Callable[[int], None] = lambda _: None
    ) -> list[Piece]:
        """The pieces that the open file does not hold at their place. on_bytes is told how far each brought us."""
        status = os.fstat(fd)
        sparse = status.st_blocks * _STATUS_BLOCK_BYTES < status.st_size
        found: list[Piece] = []
        for piece in pieces:
            if not self._holds(fd, status.st_size, piece, sparse=sparse):
                found.append(piece)
            on_bytes(piece.length)
        return found

    def _holds(self, fd: int, size: int, piece: Piece, *, sparse: bool) -> bool:
        if piece.offset + piece.length > size:
            return False
        if sparse and is_hole(fd, piece.offset, piece.length):
            return piece.blob == zero_blob_id(piece.length)
        digest = hashlib.sha256()
        remaining, offset = piece.length, piece.offset
        while remaining:
            view = self._view(min(remaining, BUFFER_BYTES))
            count = os.preadv(fd, (view,), offset)
            if not count:
                return False
            digest.update(view[:count])
            remaining -= count
            offset += count
        return digest.digest() == piece.blob

    def _view(self, length: int) -> memoryview:
        """The buffer grows to the longest piece that was asked for, so that small files touch little memory."""
        if len(self._buffer) < length:
            self._buffer = memoryview(bytearray(max(length, min(2 * len(self._buffer), BUFFER_BYTES))))
        return self._buffer[:length]


def matching_stretches(pieces: Sequence[Piece], differing: Sequence[Piece]) -> Iterator[tuple[int, int]]:
    """The stretches (offset, length) of pieces that do not differ, neighbours joined."""
    wrong = {piece.offset for piece in differing}
    start = end = -1
    for piece in pieces:
        if piece.offset in wrong or not piece.length:
            continue
        if piece.offset != end:
            if end > start:
                yield start, end - start
            start = piece.offset
        end = piece.offset + piece.length
    if end > start:
        yield start, end - start
