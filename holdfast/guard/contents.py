"""A file on disk beside its content in a snapshot: equal or not, and the first piece of each.

A blob's id is the hash of its bytes, so a file is compared by reading it in the lengths that its blobs have; nothing is
read from the repository for that. Only the look for noise loads a blob.
"""

import os
from typing import Final

from holdfast.format.index import BlobType
from holdfast.format.tree import Node
from holdfast.guard.noise import SAMPLE_BYTES
from holdfast.ids import BlobId, from_hex, sha256
from holdfast.repository.session import HeldRepository
from holdfast.source.open_file import open_regular_at

_PIECE_BYTES: Final = 1 << 20


def is_equal(held: HeldRepository, node: Node, directory_fd: int, name: bytes) -> bool | None:
    """Whether the file has the content of `node`; None where the index does not know all of its blobs.

    Raises:
        OSError: the file cannot be read.
    """
    lengths = []
    for hexadecimal in node.content or ():
        location = held.index.lookup(BlobId(from_hex(hexadecimal)), BlobType.DATA)
        if location is None:
            return None
        lengths.append((from_hex(hexadecimal), location.entry.plaintext_bytes))
    descriptor = open_regular_at(directory_fd, name)
    with open(descriptor, "rb", buffering=0) as file:
        for blob, length in lengths:
            if sha256(_exactly(file.fileno(), length)) != blob:
                return False
        return not file.read(1)


def first_piece(directory_fd: int, name: bytes) -> bytes:
    """The beginning of a file.

    Raises:
        OSError: it cannot be read.
    """
    with open(open_regular_at(directory_fd, name), "rb", buffering=0) as file:
        return _exactly(file.fileno(), SAMPLE_BYTES)


def first_piece_before(held: HeldRepository, node: Node) -> bytes:
    """The beginning of the file as the snapshot has it.

    Raises:
        IntegrityError: its first blob cannot be read.
    """
    if not node.content:
        return b""
    return held.loader.load(BlobId(from_hex(node.content[0])), BlobType.DATA)[:SAMPLE_BYTES]


def _exactly(descriptor: int, length: int) -> bytes:
    """`length` bytes, fewer only at the end of the file."""
    pieces = []
    while length:
        piece = os.read(descriptor, min(length, _PIECE_BYTES))
        if not piece:
            break
        pieces.append(piece)
        length -= len(piece)
    return b"".join(pieces)
