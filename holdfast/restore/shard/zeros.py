"""Blobs of nothing but zeros: what holes of sparse files look like in a repository."""

import hashlib
from functools import cache, lru_cache
from typing import Final

from holdfast.ids import BlobId

BLOCK_BYTES: Final = 8 * 1024 * 1024
"""The longest chunk that restic and Holdfast cut: what long holes consist of."""


@lru_cache(maxsize=256)
def zero_blob_id(length: int) -> BlobId:
    """The id of `length` zeros; hashes them the first time."""
    return BlobId(hashlib.sha256(bytes(length)).digest())


@cache
def _block_id() -> BlobId:
    return zero_blob_id(BLOCK_BYTES)


def is_zero_block(blob: BlobId, length: int) -> bool:
    """Whether a blob is a whole block of zeros; costs nothing for all others."""
    return length == BLOCK_BYTES and blob == _block_id()
