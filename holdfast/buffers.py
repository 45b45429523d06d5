"""Large buffers that one piece of work hands on to the next: touching fresh memory costs more than hashing it.

A buffer is given back only by work that ended well. After a failure or a cancellation some thread may still be at it,
so it is left to the garbage collector, and the next piece of work gets another one.
"""

import contextlib
import mmap
import threading
from typing import Final

_MAX_IDLE_BYTES: Final = 128 * 1024 * 1024
_HUGE_PAGE_BYTES: Final = 2 * 1024 * 1024


class BufferPool:
    """Idle buffers by size, up to a sum. Thread-safe."""

    def __init__(self, max_idle_bytes: int = _MAX_IDLE_BYTES) -> None:
        self._lock = threading.Lock()
        self._idle: dict[int, list[memoryview]] = {}
        self._left_bytes = max_idle_bytes

    def take(self, size: int) -> memoryview:
        """A buffer of `size` bytes, with anything in it."""
        with self._lock:
            idle = self._idle.get(size)
            if idle:
                self._left_bytes += size
                return idle.pop()
        return _fresh(size)

    def give_back(self, buffer: memoryview) -> None:
        """Let others have a buffer that nobody will touch any more."""
        size = len(buffer)
        with self._lock:
            if size <= self._left_bytes:
                self._left_bytes -= size
                self._idle.setdefault(size, []).append(buffer)


def _fresh(size: int) -> memoryview:
    """New memory; of huge pages, where the system has them, because reading into those takes a third of the time."""
    if size < _HUGE_PAGE_BYTES:
        return memoryview(bytearray(size))
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(AttributeError, OSError):  # other systems; a kernel without them
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(memory)


BUFFERS: Final = BufferPool()
"""This process's."""
