"""Brings the missing pieces of many files: grouped by pack, in reads of up to 8 MiB, written where they belong.

Each blob is fetched once, however many places it goes to. Large blobs are read, opened and written by a few threads,
because all of that releases the GIL; for small ones threads would only fight over it. In flight at most: one read and
one blob for each thread. What was written of large ones is on its way to the disk at once, and flushed by and by,
because the flush that comes before the names would wait for all of it otherwise.
"""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import Final

from holdfast.errors import HoldfastError, IntegrityError
from holdfast.format.index import BlobType
from holdfast.ids import BlobId
from holdfast.pace import Pace
from holdfast.repository.packs.loader import BlobLoader, PackRange
from holdfast.restore.os_failures import path_failure
from holdfast.restore.shard.contents import Piece
from holdfast.restore.shard.jobs import Job
from holdfast.restore.shard.zeros import is_zero_block
from holdfast.runs.progress import Stop
from holdfast.safe_fs.durable import start_writing_back
from holdfast.safe_fs.sparse import write_all, write_sparse

LARGE_BLOB_BYTES: Final = 128 * 1024


class Fetcher:
    """Fetches for one group of jobs after the other. on_large: told what was written of large blobs, by any thread."""

    def __init__(
        self,
        loader: BlobLoader,
        *,
        sparse: bool,
        stop: Stop,
        on_bytes: Callable[[int], None],
        on_large: Callable[[int], None],
        pace: Pace | None,
    ) -> None:
        self._pace = pace
        self._loader = loader
        self._sparse = sparse
        self._stop = stop
        self._on_bytes = on_bytes
        self._on_large = on_large
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()

    def fetch(self, jobs: Iterable[Job]) -> None:
        """Fill in the missing pieces of these jobs; a job whose content is damaged fails, the others do not.

        Raises:
            HoldfastError: the repository cannot be read, or the target cannot be written.
        """
        places: dict[BlobId, list[tuple[Job, Piece]]] = {}
        total = 0
        for job in jobs:
            for piece in job.missing:
                if self._sparse and is_zero_block(piece.blob, piece.length):
                    # A hole already: targets begin as zeros. A file of a TiB has more of them than can be looked at.
                    self._on_bytes(piece.length)
                elif piece.length:
                    places.setdefault(piece.blob, []).append((job, piece))
                    total += piece.length
        if not places:
            return
        reads = self._loader.plan_located(first[0][1].location for first in places.values())
        if self._pace is None and len(reads) > 1 and total >= LARGE_BLOB_BYTES * len(places):
            pool = self._pool = self._pool or ThreadPoolExecutor(self._loader.transfers, "restore")
            _wait_for_all([pool.submit(self._read, read, places) for read in reads])
            return
        for read in reads:
            self._read(read, places)

    def _read(self, read: PackRange, places: dict[BlobId, list[tuple[Job, Piece]]]) -> None:
        self._stop.check()
        if self._pace is not None:
            self._stop.wait(self._pace.spend(read.length))
        pending = {entry.id for entry in read.entries}
        try:
            for blob, data in self._loader.open_range(read):
                self._stop.check()
                pending.discard(blob)
                self._write(data, places[blob])
        except IntegrityError:
            # One damaged blob must not cost its neighbours: the rest of the read is fetched one by one.
            for blob in pending:
                self._read_alone(blob, places[blob])

    def _read_alone(self, blob: BlobId, places: list[tuple[Job, Piece]]) -> None:
        self._stop.check()
        try:
            data = self._loader.load(blob, BlobType.DATA)
        except IntegrityError as error:
            for job, _ in places:
                job.fail(f"its content is damaged: {error.message}")
            return
        self._write(data, places)

    def _write(self, data: bytes | memoryview, places: list[tuple[Job, Piece]]) -> None:
        for job, piece in places:
            if job.failure:
                continue
            try:
                if len(data) != piece.length:
                    job.fail("its content has another length than the index says")
                elif self._sparse:
                    written = write_sparse(job.fd, data, piece.offset)
                    self._count(job, written)
                else:
                    write_all(job.fd, data, piece.offset)
                    self._count(job, piece.length)
                if piece.length >= LARGE_BLOB_BYTES:
                    start_writing_back(job.fd, piece.offset, piece.length)
                    self._on_large(piece.length)
            except (OSError, HoldfastError) as error:
                job.fail(path_failure(error))
            self._on_bytes(piece.length)

    def _count(self, job: Job, written: int) -> None:
        with self._lock:
            job.written_bytes += written


def _wait_for_all(running: list[Future[None]]) -> None:
    """The first failure ends the rest, but only when none runs any more: nobody may write to a closed descriptor."""
    _, late = wait(running, return_when=FIRST_EXCEPTION)
    for future in late:
        future.cancel()
    wait(late)
    for future in running:
        if not future.cancelled():
            future.result()
