"""The index logs (index_log.py) that the worker processes of a host share, in memory without a name.

What each of them would keep by itself is there once, and what one has read or written need not be read by the others.
There are a few *places*, each for one repository at a time. A process that uses one holds a lock on it, which the
kernel takes back when the process dies; the last one that leaves gives the memory back to the system. None of it is
needed: who finds no place, or waits too long for its turn to append (somebody was stopped in the middle of it), keeps
what it knows to itself.

Processes inherit the descriptor, so the memory is as secret as their own. Locks belong to an open file, so that each
process, and each `SharedIndex`, opens the memory anew.
"""

import contextlib
import fcntl
import mmap
import os
import struct
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator
from functools import partial
from typing import Final

from holdfast.repository.index_log import HEADER_BYTES, IndexLog

PLACES: Final = 4
_PLACE_BYTES: Final = 1 << 37
"""Of addresses, not of memory: more than two billion blobs."""
_APPENDING, _USING = range(2)
"""What is locked in a place: so many bytes after its beginning."""
_CHOOSING: Final = PLACES * _PLACE_BYTES
_FLOCK: Final = struct.Struct("hhqqi4x")
_WAIT_S: Final = 2.0
_LOOK_AGAIN_S: Final = 0.002


class SharedIndex:
    """The memory. Thread-safe, and safe beside other processes; to be used first in the process that uses it."""

    def __init__(self, descriptor: int) -> None:
        """descriptor: of a memory file that `create_file` made."""
        self._inherited = descriptor
        self._opened = -1
        self._lock = threading.Lock()
        self._uses = [0] * PLACES
        self._left: deque[int] = deque()

    @staticmethod
    def create_file() -> int:
        """The descriptor of empty memory without a name, for children to inherit. Taken as it fills."""
        descriptor = os.memfd_create("holdfast-index")
        os.ftruncate(descriptor, PLACES * _PLACE_BYTES)
        return descriptor

    def join(self, owner: bytes) -> IndexLog | None:
        """The log of an owner, which is a repository's id: 32 bytes. It is left when nobody refers to it any more.

        None where there is no place, or no `/proc`.
        """
        place = None
        with self._lock, contextlib.suppress(FileNotFoundError):
            if self._opened < 0:
                self._opened = os.open(f"/proc/self/fd/{self._inherited}", os.O_RDWR | os.O_CLOEXEC)
            with self._locked(_CHOOSING) as locked:
                place = self._choose(owner) if locked else None
                if place is not None:
                    self._uses[place] += 1
        self._settle()
        if place is None:
            return None
        log = IndexLog(partial(self._map, place), partial(self._appending, place))
        weakref.finalize(log, self._leave, place).atexit = False
        return log

    def _choose(self, owner: bytes) -> int | None:
        """A place that is the owner's, or that nobody uses and that is the owner's from now on; locked as used."""
        for place in range(PLACES):
            stored = os.pread(
                self._opened, HEADER_BYTES, place * _PLACE_BYTES
            )  # mapping it would take a page
            if IndexLog.is_open_for(owner, stored) and self._try(place, _USING, fcntl.F_RDLCK):
                return place
        for place in range(PLACES):
            if not self._uses[place] and self._try(place, _USING, fcntl.F_WRLCK):
                self._empty(place)
                with self._map(place, 0, HEADER_BYTES) as header:
                    IndexLog.begin(owner, header)
                self._try(place, _USING, fcntl.F_RDLCK)
                return place
        return None

    def _leave(self, place: int) -> None:
        """One use less. May come at any time, also in a thread that is at work here: then that one sees to it."""
        self._left.append(place)
        self._settle()

    def _settle(self) -> None:
        while self._left and self._lock.acquire(blocking=False):
            try:
                while self._left:
                    place = self._left.popleft()
                    self._uses[place] -= 1
                    if not self._uses[place]:
                        self._try(
                            place, _USING, fcntl.F_UNLCK
                        )  # two that leave at once: else both would be in the way
                        if self._try(place, _USING, fcntl.F_WRLCK):
                            self._empty(place)
                            self._try(place, _USING, fcntl.F_UNLCK)
            finally:
                self._lock.release()

    def _empty(self, place: int) -> None:
        """Give the memory of a place that nobody uses back, whatever is in it: who began that may have been killed."""
        at, end = place * _PLACE_BYTES, (place + 1) * _PLACE_BYTES
        with contextlib.suppress(OSError):  # there is nothing more
            while (data := os.lseek(self._opened, at, os.SEEK_DATA)) < end:
                at = min(os.lseek(self._opened, data, os.SEEK_HOLE), end)
                with mmap.mmap(self._opened, at - data, offset=data) as memory:
                    memory.madvise(mmap.MADV_REMOVE)

    def _map(self, place: int, offset: int, size: int) -> mmap.mmap:
        return mmap.mmap(self._opened, size, offset=place * _PLACE_BYTES + offset)

    @contextlib.contextmanager
    def _appending(self, place: int) -> Iterator[bool]:
        with self._lock, self._locked(place * _PLACE_BYTES + _APPENDING) as locked:
            yield locked
        self._settle()

    @contextlib.contextmanager
    def _locked(self, byte: int) -> Iterator[bool]:
        """Lock for as long as the context lasts; false where others have had it for too long."""
        until = time.monotonic() + _WAIT_S
        while not (locked := self._set_lock(byte, fcntl.F_WRLCK)) and time.monotonic() < until:
            time.sleep(_LOOK_AGAIN_S)
        try:
            yield locked
        finally:
            if locked:
                self._set_lock(byte, fcntl.F_UNLCK)

    def _try(self, place: int, what: int, kind: int) -> bool:
        return self._set_lock(place * _PLACE_BYTES + what, kind)

    def _set_lock(self, byte: int, kind: int) -> bool:
        try:
            fcntl.fcntl(self._opened, fcntl.F_OFD_SETLK, _FLOCK.pack(kind, os.SEEK_SET, byte, 1, 0))
        except BlockingIOError:
            return False
        return True
