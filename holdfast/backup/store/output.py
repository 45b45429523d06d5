"""What another process writes is read to its end, and stored as one file, in bounded memory."""

import asyncio
import contextlib
import os
import select
import stat
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Final

from holdfast.backup.store.sink import BlobSink
from holdfast.chunker import MAX_CHUNK_BYTES
from holdfast.format.tree import Node
from holdfast.ids import BlobId
from holdfast.units import NS_PER_S

BLOCK_BYTES: Final = 8 * 1024 * 1024
_MODE: Final = stat.S_IFREG | 0o600
_LOOK_EVERY_MS: Final = 200


class Output:
    """The reading end of an output. Filled in a thread that waits for it; told of the end from outside."""

    def __init__(self, reading: int) -> None:
        os.set_blocking(reading, False)
        self._reading = reading
        self._poll = select.poll()
        self._poll.register(reading, select.POLLIN)
        self._last_ns = time.monotonic_ns()
        self._grace_s: float | None = None
        self._stopped = False
        self.left_open = False

    def ends_after(self, silence_s: float) -> None:
        """What writes it has ended; so long without a byte, and the output has too, though it may still be open."""
        self._last_ns = time.monotonic_ns()
        self._grace_s = silence_s

    def stop(self) -> None:
        """Nobody wants the rest."""
        self._stopped = True

    def fill(self, buffer: memoryview) -> int:
        """Read until the buffer is full or the output ends; the bytes."""
        filled = 0
        while filled < len(buffer) and not (self._stopped or self.left_open):
            try:
                got = os.readv(self._reading, [buffer[filled:]])
            except BlockingIOError:
                self._wait()
                continue
            if not got:
                break
            filled += got
            if self._grace_s is not None:
                self._last_ns = time.monotonic_ns()
        return filled

    def _wait(self) -> None:
        if self._poll.poll(_LOOK_EVERY_MS) or self._grace_s is None:
            return
        self.left_open = time.monotonic_ns() - self._last_ns >= self._grace_s * NS_PER_S


class OutputStore:
    """Stores an output, chunk by chunk."""

    def __init__(
        self,
        sink: BlobSink,
        reader: Executor,
        compute: Callable[[Callable[[], int]], Awaitable[int]],
        hold_back: Callable[[int], Awaitable[None]],
    ) -> None:
        """reader: the thread that waits for output. compute: runs a function in the shard's computing thread."""
        self._sink = sink
        self._reader = reader
        self._compute = compute
        self._hold_back = hold_back
        self._buffer = memoryview(bytearray(MAX_CHUNK_BYTES + BLOCK_BYTES))

    async def store(self, output: Output, on_bytes: Callable[[int], None]) -> tuple[list[BlobId], int]:
        """The chunks of the whole output, and its size. on_bytes: told the bytes so far."""
        loop = asyncio.get_running_loop()
        content: list[BlobId] = []
        total = kept = 0
        while True:
            filling = loop.run_in_executor(self._reader, output.fill, self._buffer[kept : kept + BLOCK_BYTES])
            try:
                got = await asyncio.shield(filling)
            except asyncio.CancelledError:
                # The thread has to be done with the buffer and the pipe before they go.
                output.stop()
                with contextlib.suppress(OSError):
                    await filling
                raise
            data = self._buffer[: kept + got]
            final = got < BLOCK_BYTES
            if len(data):
                save = partial(self._sink.save_chunks, data, content, final=final)
                used = await self._compute(save)
                kept = len(data) - used
                self._buffer[:kept] = bytes(data[used:])
            total += got
            on_bytes(total)
            await self._hold_back(got)
            if final:
                return content, total


def stream_node(name: bytes, content: Sequence[BlobId], size: int, begun_ns: int) -> Node:
    """The file that a stream becomes: this user's own, of the time when reading it began."""
    return Node.create(
        name=name,
        st_mode=_MODE,
        uid=os.getuid(),
        gid=os.getgid(),
        mtime_ns=begun_ns,
        atime_ns=begun_ns,
        ctime_ns=begun_ns,
        size=size,
        links=1,
        content=content,
    )
