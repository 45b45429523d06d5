"""Worker processes of a host share index logs (log.py), in memory without a name.

What each of them would keep by itself is there once, and what one has read or written need not be read by the others.
There are a few *places*, each for one repository at a time. A process that uses one holds a lock on it, which the
kernel takes back when the process dies; the last one that leaves gives the memory back to the system. None of it is
needed: who finds no place, cannot map it, or waits too long for its turn to append (a process was stopped in the middle
of it), keeps what it knows to itself.

Processes inherit the descriptor, so the memory is as secret as their own. Locks belong to an open file, so that each
process, and each `SharedIndex`, opens the memory again.
"""

import contextlib
import errno
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
from pathlib import Path
from typing import Final

from holdfast.ids import sha256
from holdfast.repository.index.log import HEADER_BYTES, IndexLog

PLACES: Final = 4
_PLACE_BYTES: Final = 1 << 37
"""Of addresses, not of memory: more than two billion blobs."""
_APPENDING, _USING = range(2)
"""What is locked in a place: so many bytes after its beginning."""
_CHOOSING: Final = PLACES * _PLACE_BYTES
_FLOCK: Final = struct.Struct("hhqqi4x")
_WAIT_S: Final = 2.0
_LOOK_AGAIN_S: Final = 0.002
_IMPATIENT_S: Final = 60.0
"""For so long nobody waits again, once a wait was in vain."""
_LAYOUT: Final = b"holdfast index log 4"
"""Workers of different releases may meet in one memory: to be changed whenever the rows, header or chains are."""
_OVERCOMMIT: Final = Path("/proc/sys/vm/overcommit_memory")
_STRICT: Final = "2"


class SharedIndex:
    """The memory. Thread-safe, and safe beside other processes; to be used first in the process that uses it."""

    def __init__(self, descriptor: int) -> None:
        """descriptor: of a memory file that `create_file` made."""
        self._inherited = descriptor
        self._opened = -1
        self._lock = threading.Lock()
        self._uses = [0] * PLACES
        self._left: deque[int] = deque()
        self._impatient_until = 0.0

    @staticmethod
    def create_file() -> int:
        """The descriptor of empty memory without a name, for children to inherit. Taken as it fills.

        -1 where it cannot be had, or where the kernel counts memory strictly: then there would be signals, not errors.
        """
        with contextlib.suppress(OSError):
            if _OVERCOMMIT.read_text().strip() == _STRICT:
                return -1
            descriptor = os.memfd_create("holdfast-index")
            try:
                os.ftruncate(descriptor, PLACES * _PLACE_BYTES)
            except OSError:
                os.close(descriptor)
                raise
            return descriptor
        return -1

    def join(self, owner: bytes) -> IndexLog | None:
        """The log of an owner, which is a repository's id: 32 bytes. It is left when nobody refers to it.

        None where there is no place, or the system has no such files or locks.
        """
        place, owner = None, sha256(_LAYOUT + owner)
        with self._lock, contextlib.suppress(OSError):
            if self._opened < 0:
                self._opened = os.open(f"/proc/self/fd/{self._inherited}", os.O_RDWR | os.O_CLOEXEC)
            with self._locked(_CHOOSING, _WAIT_S) as locked:
                place = self._choose(owner) if locked else None
                if place is not None:
                    self._uses[place] += 1
        self._settle()
        if place is None:
            return None
        try:
            log = IndexLog(partial(self._map, place), partial(self._appending, place))
        except OSError:
            self._leave(place)
            return None
        weakref.finalize(log, self._leave, place).atexit = False
        return log

    def _choose(self, owner: bytes) -> int | None:
        """A place that is the owner's, or that nobody uses and that is the owner's from now on; locked as used.

        The other places that nobody uses are emptied: who used them may have been killed.
        """
        for place in range(PLACES):
            if self._is_open_for(owner, place) and self._try(place, _USING, fcntl.F_RDLCK):
                if self._is_open_for(owner, place):
                    return place
                self._try(place, _USING, fcntl.F_UNLCK)  # the last one that used it has just left
        chosen = None
        for place in range(PLACES):
            if self._uses[place] or not self._try(place, _USING, fcntl.F_WRLCK):
                continue
            if self._empty(place) and chosen is None and self._begin(owner, place):
                self._try(place, _USING, fcntl.F_RDLCK)
                chosen = place
            else:
                self._try(place, _USING, fcntl.F_UNLCK)
        return chosen

    def _begin(self, owner: bytes, place: int) -> bool:
        try:
            with self._map(place, 0, HEADER_BYTES) as header:
                IndexLog.begin(owner, header)
        except OSError:
            return False
        return True

    def _is_open_for(self, owner: bytes, place: int) -> bool:
        header = os.pread(self._opened, HEADER_BYTES, place * _PLACE_BYTES)  # mapping it would take a page
        return IndexLog.is_open_for(owner, header)

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
                        # Let go first: of two that leave at once each would be in the other's way.
                        self._try(place, _USING, fcntl.F_UNLCK)
                        if self._try(place, _USING, fcntl.F_WRLCK):
                            self._empty(place)
                            self._try(place, _USING, fcntl.F_UNLCK)
            finally:
                self._lock.release()

    def _empty(self, place: int) -> bool:
        """Give the memory of a place that nobody uses back, whatever is in it: who began that may have been killed.

        Whether nothing is left. If something is, the place is not to be used: old rows would bear new packs' numbers.
        """
        at, end = place * _PLACE_BYTES, (place + 1) * _PLACE_BYTES
        try:
            while (data := os.lseek(self._opened, at, os.SEEK_DATA)) < end:
                at = min(os.lseek(self._opened, data, os.SEEK_HOLE), end)
                with mmap.mmap(self._opened, at - data, offset=data) as memory:
                    memory.madvise(mmap.MADV_REMOVE)
        except OSError as error:
            return error.errno == errno.ENXIO  # no data up to the end of the file
        return True

    def _map(self, place: int, offset: int, size: int) -> mmap.mmap:
        return mmap.mmap(self._opened, size, offset=place * _PLACE_BYTES + offset)

    @contextlib.contextmanager
    def _appending(self, place: int) -> Iterator[bool]:
        wait_s = _WAIT_S if time.monotonic() >= self._impatient_until else 0.0
        with self._lock, self._locked(place * _PLACE_BYTES + _APPENDING, wait_s) as locked:
            if not locked and wait_s:
                self._impatient_until = time.monotonic() + _IMPATIENT_S
            yield locked
        self._settle()

    @contextlib.contextmanager
    def _locked(self, byte: int, wait_s: float) -> Iterator[bool]:
        """Lock for as long as the context lasts; false where others have had it for too long."""
        until = time.monotonic() + wait_s
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
