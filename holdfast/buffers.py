"""Large buffers that one piece of work hands on to the next: touching fresh memory costs more than hashing it.

A buffer is given back only by work that ended well. After a failure or a cancellation some thread may still be at it,
so it is left to the garbage collector, and the next piece of work gets another one.
"""

import contextlib
import mmap
import threading
from bisect import bisect_left, insort
from typing import Final

_MAX_IDLE_BYTES: Final = 96 * 1024 * 1024
_MOST_SPARE: Final = 2
"""An idle buffer serves for less than its size down to this part of it: else each kind of work kept its own."""
_HUGE_PAGE_BYTES: Final = 2 * 1024 * 1024


class BufferPool:
    """Idle buffers, up to a sum. Thread-safe."""

    def __init__(self, max_idle_bytes: int = _MAX_IDLE_BYTES) -> None:
        self._max_idle_bytes = max_idle_bytes
        self._lock = threading.Lock()
        self._idle: list[memoryview] = []
        self._idle_bytes = 0

    @property
    def idle_bytes(self) -> int:
        """What is kept for later."""
        return self._idle_bytes

    def take(self, size: int) -> memoryview:
        """A buffer of `size` bytes, with anything in it: the smallest idle one that is large enough, or a new one."""
        with self._lock:
            at = bisect_left(self._idle, size, key=len)
            if at < len(self._idle) and len(self._idle[at]) <= _MOST_SPARE * size:
                whole = self._idle.pop(at)
                self._idle_bytes -= len(whole)
                return whole[:size]
        return _fresh(size)

    def give_back(self, buffer: memoryview) -> None:
        """Let others have a buffer that nobody will touch any more."""
        whole = memoryview(buffer.obj)
        with self._lock:
            if self._idle_bytes + len(whole) <= self._max_idle_bytes:
                self._idle_bytes += len(whole)
                insort(self._idle, whole, key=len)

    def let_go(self) -> None:
        """Keep nothing: no work is expected soon."""
        with self._lock:
            self._idle.clear()
            self._idle_bytes = 0


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
