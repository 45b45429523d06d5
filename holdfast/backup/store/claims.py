"""Which blobs the shards under way are storing: a table that the worker processes of a host share.

A blob is in the index once the shard that stored it has ended. Until then only this table tells the other shards of the
run that one of them has it, so that data which repeats itself is not stored by each of them. It is a cache of hints:

    - a claim is made before its blob is packed, and may be lost (another blob takes its slot): then a blob is stored
      twice, which costs space until the next prune;
    - a claim may outlive its claimant (a killed worker): the shard's next attempt reads the same bytes again, does not
      look at its own claims, and stores what they promised;
    - whatever the table says, the commit looks for every blob in the index. A shard that relied on a claim which was
      not kept is stored again, and later attempts at a shard rely on no claims at all, so that this ends.

Nothing is locked: slots are written by one copy of 32 bytes, and one that is read half-written names no blob, or a
blob that is just being claimed.
"""

import hashlib
import mmap
import os
import struct
from typing import Final

from holdfast.ids import BlobId

SLOTS: Final = 1 << 18
_SLOT: Final = struct.Struct("<24sQ")
_PREFIX: Final = 24
_TABLE_BYTES: Final = SLOTS * _SLOT.size
_SHARD_BITS: Final = 24


class ClaimTable:
    """The table, mapped into this process. Thread-safe, and safe beside other processes."""

    def __init__(self, descriptor: int = -1) -> None:
        """descriptor: of a memory file that `create_file` made; -1 for a table of this process alone."""
        self._slots = mmap.mmap(descriptor, _TABLE_BYTES)

    @staticmethod
    def create_file() -> int:
        """The descriptor of an empty table without a name, for children to inherit. 8 MiB, taken as it fills."""
        descriptor = os.memfd_create("holdfast-claims")
        os.ftruncate(descriptor, _TABLE_BYTES)
        return descriptor

    def of_shard(self, repository_id: str, run_id: str, shard: int) -> "ShardClaims":
        """The table as one shard of a run uses it."""
        run = hashlib.blake2b(f"{repository_id} {run_id}".encode(), digest_size=5).digest()
        return ShardClaims(self._slots, int.from_bytes(run, "little"), shard)


class ShardClaims:
    """Claims blobs for one shard."""

    def __init__(self, slots: mmap.mmap, run: int, shard: int) -> None:
        self._slots = slots
        self._run = run
        self._claimant = run << _SHARD_BITS | shard % (1 << _SHARD_BITS)

    def is_claimed_elsewhere(self, blob: BlobId) -> bool:
        """Whether another shard of the run has this blob; if not, it is claimed for this one."""
        at = int.from_bytes(blob[_PREFIX:], "little") % SLOTS * _SLOT.size
        prefix = blob[:_PREFIX]
        found, claimant = _SLOT.unpack_from(self._slots, at)
        if found == prefix and claimant >> _SHARD_BITS == self._run and claimant != self._claimant:
            return True
        _SLOT.pack_into(self._slots, at, prefix, self._claimant)
        return False
