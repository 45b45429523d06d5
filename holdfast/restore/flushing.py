"""Flushes a batch of new files in a thread of its own, while the next batch is written.

Waiting for the disk and doing the work for the disk take turns otherwise: neither would be busy for half of the time.
One flush runs at a time. What was closed before `begin` is durable when `wait` has returned.
"""

from concurrent.futures import Future, ThreadPoolExecutor

from holdfast.restore.os_failures import flush
from holdfast.safe_fs.durable import FileSystems


class Flusher:
    """The flushes of one attempt. Belongs to one thread, which is never the one that flushes."""

    def __init__(self, file_systems: FileSystems) -> None:
        self._file_systems = file_systems
        self._pool = ThreadPoolExecutor(1, "flush")
        self._running: Future[None] | None = None

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
        self._running = self._pool.submit(flush, self._file_systems)

    def wait(self) -> None:
        """Return when nothing is being flushed.

        Raises:
            HoldfastError: the flush failed (see os_failures.flush).
        """
        running, self._running = self._running, None
        if running is not None:
            running.result()

    def close(self) -> None:
        """End the thread; what it still flushes is waited for."""
        self._pool.shutdown()
