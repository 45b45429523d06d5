"""The packer takes blobs, fills packs, stores them behind the caller's back, and knows what is durable.

One thread adds blobs; others finish and store packs, which is hashing and waiting for the disk by turns. Blobs get
ascending sequence numbers. The *frontier* is the lowest number that is not yet durable: every blob below it lies in a
stored pack. A checkpoint written for a position whose last blob is below the frontier speaks only of durable bytes
(invariant 3).

Crash scenario, in the order of the steps:
    1. a blob is added to an open pack: it exists in memory only, the frontier stays below it;
    2. a full pack is sealed and put under its final name, which is durable when `put` returns;
    3. only then does the frontier move past the blobs of the pack. A crash before 3 leaves at worst an orphan pack,
       which no index names and the next prune removes.

Blobs are spread at random over two open packs, as restic does since 0.18, so that pack sizes do not betray chunk sizes.
What is left in them at a flush becomes one pack, where it fits into one: a small run stores one file less. Memory is
bounded by a few reused pack buffers: `add` blocks while all of them wait for the storage.
"""

import contextlib
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, Self

from holdfast.crypto.sealing import Sealer
from holdfast.format.index import BlobType, IndexPack
from holdfast.format.pack import (
    DEFAULT_PACK_SIZE_BYTES,
    BlobCompressor,
    Compressed,
    Compression,
    PackBuffer,
    Plaintext,
)
from holdfast.ids import BlobId
from holdfast.repository.layout import pack_name
from holdfast.repository.repository import Repository

_OPEN_PACKS: Final = 2
_COINS: Final = 4096
"""Random bytes drawn at a time: a system call for each blob would cost more than its hash."""


class Packer:
    """Fills and stores packs of one blob type. Single producer; use as a context manager."""

    def __init__(
        self,
        repository: Repository,
        blob_type: BlobType,
        *,
        compression: Compression,
        pack_size_bytes: int = DEFAULT_PACK_SIZE_BYTES,
        buffers: int | None = None,
        check_lock: Callable[[], None] = lambda: None,
    ) -> None:
        """buffers: how many packs there are at a time, being filled or stored; more than are filled. By default as
        many as keep the storage busy.

        check_lock: called right before each pack is stored; raises when the lock could not be kept.
        """
        self._check_lock = check_lock
        self._repository = repository
        self._storage = repository.tree_packs if blob_type is BlobType.TREE else repository.storage
        self._type = blob_type
        self._compressor = BlobCompressor(blob_type, compression, repository.version)
        self._sealer = Sealer(repository.key)
        self._pack_size_bytes = pack_size_bytes
        self._free: queue.SimpleQueue[PackBuffer] = queue.SimpleQueue()
        writers = repository.storage.traits.transfers
        self._to_make = buffers or _OPEN_PACKS + writers + 1
        self._open: list[_OpenPack | None] = [None] * _OPEN_PACKS
        self._pool = ThreadPoolExecutor(writers, thread_name_prefix="pack-writer")
        self._in_flight: list[tuple[int, Future[None]]] = []
        self._lock = threading.Lock()
        self._stored: list[IndexPack] = []
        self._next = 0
        self._coins: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        if kind is None:
            with contextlib.suppress(queue.Empty):
                while True:
                    self._free.get_nowait().release()

    @property
    def next_sequence(self) -> int:
        """The number that the next blob gets; one past the last."""
        return self._next

    def add(self, blob_id: BlobId, plaintext: Plaintext) -> None:
        """Compress one blob and put it into an open pack; stores packs as they fill.

        Raises:
            StorageUnavailableError, StorageFullError, StorageDeniedError: an earlier pack could not be stored.
            LockLostError: nor may it be now.
        """
        self.add_compressed(blob_id, self._compressor.compress(plaintext))

    def add_compressed(self, blob_id: BlobId, blob: Compressed) -> None:
        """The same for a blob that is compressed already. Raises as `add`."""
        if not self._coins:
            self._coins = list(os.urandom(_COINS))
        slot = self._coins.pop() % _OPEN_PACKS
        pack = self._open[slot]
        if pack is None:
            pack = self._open[slot] = _OpenPack(self._free_buffer(), self._next)
        pack.buffer.add(self._sealer, blob_id, blob)
        self._next += 1
        if pack.buffer.size_bytes >= self._pack_size_bytes:
            self._send(slot)

    def begin_flush(self) -> None:
        """Send the open packs off, full or not, without waiting for them."""
        self._join_open()
        for slot in range(_OPEN_PACKS):
            if self._open[slot] is not None:
                self._send(slot)

    def flush(self) -> None:
        """Send the open packs off and wait until everything added is durable."""
        self.begin_flush()
        while self._in_flight:
            _, future = self._in_flight.pop(0)
            future.result()

    def frontier(self) -> int:
        """The lowest sequence number that is not durable; equals `next_sequence` when everything is.

        Raises the error of a pack that could not be stored.
        """
        self._reap()
        firsts = [first for first, _ in self._in_flight]
        firsts += [pack.first for pack in self._open if pack is not None]
        return min(firsts, default=self._next)

    def take_stored(self) -> list[IndexPack]:
        """The packs that became durable since the last call, in the order of storing."""
        with self._lock:
            stored, self._stored = self._stored, []
        return stored

    def _join_open(self) -> None:
        """Make one of both open packs, where it is no larger than others."""
        one, other = self._open
        if one is None or other is None:
            return
        if one.buffer.size_bytes + other.buffer.size_bytes > self._pack_size_bytes:
            return
        one.buffer.take_over(other.buffer)
        one.first = min(one.first, other.first)
        self._open[1] = None
        other.buffer.reset()
        self._free.put(other.buffer)

    def _reap(self) -> None:
        waiting: list[tuple[int, Future[None]]] = []
        for first, future in self._in_flight:
            if future.done():
                future.result()
            else:
                waiting.append((first, future))
        self._in_flight = waiting

    def _free_buffer(self) -> PackBuffer:
        if self._to_make and self._free.empty():
            self._to_make -= 1
            return PackBuffer(self._type, self._pack_size_bytes)
        while True:
            try:
                return self._free.get(timeout=1.0)
            except queue.Empty:
                self._reap()

    def _send(self, slot: int) -> None:
        pack = self._open[slot]
        if pack is None:
            return
        self._open[slot] = None
        self._in_flight.append((pack.first, self._pool.submit(self._store, pack.buffer)))
        self._reap()

    def _store(self, buffer: PackBuffer) -> None:
        try:
            finished = buffer.finish(self._repository.sealer())
            self._check_lock()
            self._storage.put(pack_name(finished.id), finished.data)
            with self._lock:
                self._stored.append(finished.pack)
        finally:
            buffer.reset()
            self._free.put(buffer)


class _OpenPack:
    """A pack that is being filled, and the sequence number of its first blob."""

    __slots__ = ("buffer", "first")

    def __init__(self, buffer: PackBuffer, first: int) -> None:
        self.buffer = buffer
        self.first = first
