"""A large file as a stream of blocks: aiofiles reads ahead into two reused buffers, while the last block is worked on.

Each buffer begins with room for the tail that the chunker left over from the block before, so that a chunk which
spans two blocks lies in one piece:

    | … carry | block ……………… |
              ^ CARRY_BYTES
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import Final, Protocol

import aiofiles

from holdfast.buffers import BUFFERS
from holdfast.chunker import MAX_CHUNK_BYTES

BLOCK_BYTES: Final = 8 * 1024 * 1024
CARRY_BYTES: Final = MAX_CHUNK_BYTES


class Consume(Protocol):
    """Takes the bytes at hand and whether they are the last; returns how many of them were used up."""

    async def __call__(self, data: memoryview, *, final: bool) -> int: ...


class BlockStream:
    """Feeds stretches of files to a consumer. One at a time; the buffers are kept between files."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._buffers: list[memoryview] = []

    def release(self) -> None:
        """Hand the buffers on, when nothing is being read any more."""
        while self._buffers:
            BUFFERS.give_back(self._buffers.pop())

    async def feed(
        self,
        fd: int,
        offset: int,
        end: int | None,
        consume: Consume,
        announce: Callable[[int], Awaitable[None]],
    ) -> int:
        """Read from `offset` to `end` (None: the end of the file) and hand everything to `consume`; the bytes read.

        `announce` is awaited with the number of bytes before they are read. Stops early where the file ends early.

        Raises:
            OSError: the file cannot be read.
        """
        total = turn = 0
        if not self._buffers:
            self._buffers = [BUFFERS.take(CARRY_BYTES + BLOCK_BYTES) for _ in range(2)]
        tail = self._buffers[1][:0]
        async with aiofiles.open(fd, "rb", buffering=0, closefd=False, executor=self._executor) as file:
            await file.seek(offset)

            async def read(buffer: memoryview, wanted: int) -> int:
                await announce(wanted)
                filled = 0
                while filled < wanted:
                    got = await file.readinto(buffer[CARRY_BYTES + filled : CARRY_BYTES + wanted])
                    if not got:
                        break
                    filled += got
                return filled

            left = end - offset if end is not None else None
            ahead = asyncio.ensure_future(read(self._buffers[0], self._wanted(left)))
            try:
                while got := await ahead:
                    total += got
                    left = None if left is None else left - got
                    buffer = self._buffers[turn]
                    begin = CARRY_BYTES - len(tail)
                    # The tail lies in the other buffer: it must be out before the next block is read into that one.
                    buffer[begin:CARRY_BYTES] = tail
                    turn = 1 - turn
                    ahead = asyncio.ensure_future(read(self._buffers[turn], self._wanted(left)))
                    data = buffer[begin : CARRY_BYTES + got]
                    tail = data[await consume(data, final=False) :]
            finally:
                await asyncio.gather(ahead, return_exceptions=True)
        if len(tail):
            await consume(tail, final=True)
        return total

    @staticmethod
    def _wanted(left: int | None) -> int:
        return BLOCK_BYTES if left is None else max(0, min(BLOCK_BYTES, left))
