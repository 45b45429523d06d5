"""Where chunks go: hashed, looked up, and packed when nobody has them yet.

A blob counts as known when the index shows it (loaded after the lock was taken), when this very shard has added it
before, or when another shard under way has claimed it. A duplicate within the shard needs no new sequence number,
because its first occurrence has one by the time that their stretch is saved; what is *borrowed* from another shard is
that one's to make durable, and the commit's to look for.
"""

import hashlib
from typing import Final

from holdfast.backup.store.claims import ShardClaims
from holdfast.chunker import MAX_CHUNK_BYTES, MIN_CHUNK_BYTES, Chunker
from holdfast.format.index import BlobType
from holdfast.ids import BlobId
from holdfast.repository.index.map import IndexMap
from holdfast.repository.packs.packer import Packer

ZERO_BLOB_BYTES: Final = MAX_CHUNK_BYTES
_ZEROS: Final = bytes(ZERO_BLOB_BYTES)


class BlobSink:
    """Saves data blobs of one shard. One thread uses it."""

    def __init__(
        self,
        index: IndexMap,
        packer: Packer,
        chunker: Chunker,
        claims: ShardClaims | None = None,
    ) -> None:
        """claims: where to look for what other shards are storing; None to store it all the same."""
        self._index = index
        self._packer = packer
        self._chunker = chunker
        self._claims = claims
        self.borrowed: list[BlobId] = []
        self._own: set[BlobId] = set()
        self._zero_ids: dict[int, BlobId] = {}

    @property
    def next_sequence(self) -> int:
        """See `Packer.next_sequence`."""
        return self._packer.next_sequence

    def knows(self, ids: set[BlobId]) -> None:
        """These blobs are durable already: earlier attempts of the shard stored them."""
        self._own |= ids

    def save(self, plaintext: memoryview) -> BlobId:
        """Store one blob unless it is known; its id."""
        blob = BlobId(hashlib.sha256(plaintext).digest())
        if self._takes(blob):
            self._packer.add(blob, plaintext)
        return blob

    def save_chunks(self, data: memoryview, content: list[BlobId], *, final: bool) -> int:
        """Cut `data` and save the whole chunks; append their ids to `content`; the number of bytes used."""
        if final and 0 < len(data) <= MIN_CHUNK_BYTES:
            content.append(self.save(data))
            return len(data)
        used = 0
        for length in self._chunker.cuts(data, final=final):
            content.append(self.save(data[used : used + length]))
            used += length
        return used

    def save_zeros(self, length: int, content: list[BlobId]) -> None:
        """Append a hole of `length` bytes, as blobs of zeros that are hashed once and never read from the source."""
        whole, rest = divmod(length, ZERO_BLOB_BYTES)
        if whole:
            content.extend([self._zeros(ZERO_BLOB_BYTES)] * whole)
        if rest:
            content.append(self._zeros(rest))

    def _takes(self, blob: BlobId) -> bool:
        """Whether this shard has to store a blob, which is its own from then on."""
        if blob in self._own or self._index.has(blob, BlobType.DATA):
            return False
        self._own.add(blob)
        if self._claims is not None and self._claims.is_claimed_elsewhere(blob):
            self.borrowed.append(blob)
            return False
        return True

    def _zeros(self, length: int) -> BlobId:
        blob = self._zero_ids.get(length)
        if blob is None:
            blob = self._zero_ids[length] = self.save(memoryview(_ZEROS)[:length])
        return blob
