"""A source that is a command's output: a dump of a database, say, stored as one file.

The output cannot be read again from its middle, so nothing is resumed inside it: an attempt that dies starts the
command anew. Chunks that an earlier snapshot has are found in the index and cost no new bytes.
A command that fails never becomes a snapshot: half a dump under a whole one's name would be worse than none.
"""

import asyncio
import logging
import os
import stat
import tempfile
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import BinaryIO, Final

from holdfast.backup.documents import Stored
from holdfast.backup.sink import BlobSink
from holdfast.chunker import MAX_CHUNK_BYTES
from holdfast.commands import end_command, start_command, tail_of
from holdfast.errors import SourceCommandError
from holdfast.format.tree import Node
from holdfast.ids import BlobId

BLOCK_BYTES: Final = 8 * 1024 * 1024
_MODE: Final = stat.S_IFREG | 0o600
_KEPT_OUTPUT_BYTES: Final = 16 * 1024
_LOG: Final = logging.getLogger(__name__)


class CommandReader:
    """Runs the command of a source and stores what it prints."""

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        sink: BlobSink,
        reader: Executor,
        compute: Callable[[Callable[[], int]], Awaitable[int]],
        hold_back: Callable[[int], Awaitable[None]],
    ) -> None:
        """environ: all that the command gets of one. reader: the thread that waits for output.

        compute: runs a function in the shard's computing thread.
        """
        self._command = tuple(command)
        self._environ = dict(environ)
        self._sink = sink
        self._reader = reader
        self._compute = compute
        self._hold_back = hold_back
        self._buffer = memoryview(bytearray(MAX_CHUNK_BYTES + BLOCK_BYTES))

    async def read(self, name: bytes, on_bytes: Callable[[int], None]) -> Stored:
        """Store the whole output under `name`. on_bytes: told the bytes so far.

        Raises:
            SourceCommandError: the command cannot be started, or ends with anything but 0.
            StorageUnavailableError, StorageFullError, StorageDeniedError: from the packer.
        """
        begun_ns = time.time_ns()
        with tempfile.TemporaryFile() as complaints:
            reading, writing = os.pipe2(os.O_CLOEXEC)
            try:
                process = await self._start(writing, complaints)
            finally:
                os.close(writing)
            try:
                content, size = await self._store(reading, on_bytes)
                code = await process.wait()
            finally:
                try:
                    await end_command(process)
                finally:
                    os.close(reading)
            if code:
                _LOG.warning(
                    "the command of a source failed with %d: %s",
                    code,
                    tail_of(complaints, _KEPT_OUTPUT_BYTES).strip(),
                )
                raise SourceCommandError(
                    f"the command of the source failed with exit code {code}; nothing was stored of it",
                    hint="The worker's log has what it said; run it by hand as the user that the worker runs as.",
                )
        return Stored(_node(name, content, size, begun_ns), size)

    async def _start(self, writing: int, complaints: BinaryIO) -> Process:
        try:
            return await start_command(
                self._command, self._environ, stdin=DEVNULL, stdout=writing, stderr=complaints
            )
        except OSError as error:
            raise SourceCommandError(
                f"the command of the source cannot be started: {error.strerror}",
                hint="Give the program's full path in `command`; it is run without a shell.",
            ) from error

    async def _store(self, reading: int, on_bytes: Callable[[int], None]) -> tuple[list[BlobId], int]:
        loop = asyncio.get_running_loop()
        content: list[BlobId] = []
        total = kept = 0
        while True:
            filling = loop.run_in_executor(
                self._reader, _fill, reading, self._buffer[kept : kept + BLOCK_BYTES]
            )
            try:
                got = await asyncio.shield(filling)
            except asyncio.CancelledError:
                # The thread waits for the pipe; killing the command ends that, before the buffer may go.
                filling.add_done_callback(lambda done: done.exception())
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


def _fill(reading: int, buffer: memoryview) -> int:
    """Read until the buffer is full or the output ends."""
    filled = 0
    while filled < len(buffer):
        got = os.readv(reading, [buffer[filled:]])
        if not got:
            break
        filled += got
    return filled


def _node(name: bytes, content: Sequence[BlobId], size: int, begun_ns: int) -> Node:
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
