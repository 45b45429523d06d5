"""Flushes a batch of new files in a thread of its own, while the next batch is written.

Waiting for the disk and doing the work for the disk take turns otherwise: neither would be busy for half of the time.
One flush runs at a time. What was closed before `begin` is durable when `wait` has returned.

Large files are flushed while they grow, too, although nothing depends on that: a disk empties its cache at its own
speed and does nothing else meanwhile, so a gigabyte that it got in one go is a second in which everybody waits.
"""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from holdfast.restore.os_failures import flush
from holdfast.safe_fs.durable import FileSystems

EARLY_BYTES: Final = 64 * 1024 * 1024


class Flusher:
    """The flushes of one attempt. Belongs to one thread, except for `written`; that is never the one that flushes."""

    def __init__(self, file_systems: FileSystems) -> None:
        self._file_systems = file_systems
        self._pool = ThreadPoolExecutor(1, "flush")
        self._lock = threading.Lock()
        self._running: Future[None] | None = None
        self._unflushed_bytes = 0

    @property
    def is_idle(self) -> bool:
        """Whether a flush could begin at once."""
        return self._running is None or self._running.done()

    def begin(self) -> None:
        """Begin to flush what was touched up to now, once the flush before has ended well.

        Raises:
            HoldfastError: the flush before failed (see os_failures.flush).
        """
        self.wait()
        with self._lock:
            self._submit()

    def written(self, count: int) -> None:
        """So many bytes of large files were written: begins to flush them once they are many. From any thread.

        Not while another flush runs, nor after one that failed: `wait` has to tell that first.
        """
        with self._lock:
            self._unflushed_bytes += count
            is_free = self._running is None or (self._running.done() and not self._running.exception())
            if is_free and self._unflushed_bytes >= EARLY_BYTES:
                self._submit()

    def wait(self) -> None:
        """Return when nothing is being flushed.

        Raises:
            HoldfastError: the flush failed (see os_failures.flush).
        """
        with self._lock:
            running, self._running = self._running, None
        if running is not None:
            running.result()

    def _submit(self) -> None:
        self._unflushed_bytes = 0
        self._running = self._pool.submit(flush, self._file_systems)

    def close(self) -> None:
        """End the thread; what it still flushes is waited for."""
        self._pool.shutdown()
