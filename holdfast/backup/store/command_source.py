"""A source that is a command's output: a dump of a database, say, stored as one file.

The output cannot be read again from its middle, so nothing is resumed inside it: an attempt that dies starts the
command again. Chunks that an earlier snapshot has are found in the index and cost no new bytes.
A command that fails never becomes a snapshot: half a dump under a whole one's name would be worse than none. Neither
does one that ends well without a byte, unless its source may be empty.

The output ends when nobody has it open any longer, which need not be when the command ends: `sh -c "server & dump"`
leaves a child with it, and `bash -c "dump > >(gzip)"` one that is still writing. So it is read on while something
comes; GRACE_S after the last of it the file is stored with a warning, which makes the snapshot partial. The child is
left alone, as one of a hook is: it may be a service. What it still writes ends it, as with any closed pipe.
"""

import asyncio
import contextlib
import logging
import os
import select
import stat
import tempfile
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import BinaryIO, Final

from holdfast.backup.documents import Stored
from holdfast.backup.store.sink import BlobSink
from holdfast.chunker import MAX_CHUNK_BYTES
from holdfast.commands import end_command, is_blind_pipeline, start_command, tail_of
from holdfast.errors import SourceCommandError
from holdfast.format.tree import Node
from holdfast.ids import BlobId
from holdfast.units import NS_PER_S

BLOCK_BYTES: Final = 8 * 1024 * 1024
GRACE_S: Final = 10.0
"""How long the output may stay silent after its command has ended well, before it is taken for whole."""
LEFT_OPEN: Final = (
    "the command ended well, but left a process behind that has its output open; nothing came from it for "
    f"{GRACE_S:g} s, so what is stored may lack the end. Let the command wait for what it starts, or give that no "
    "output (>/dev/null)"
)
_MODE: Final = stat.S_IFREG | 0o600
_KEPT_OUTPUT_BYTES: Final = 16 * 1024
_LOOK_EVERY_MS: Final = 200
_PIPEFAIL: Final = (
    'where a shell runs a pipeline, only its last part counts; ["bash", "-o", "pipefail", "-c", "…"] has all of them '
    "count."
)
_LOG: Final = logging.getLogger(__name__)


class Output:
    """The reading end of the command's output. Filled in a thread that waits for it; told of the end from outside."""

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
        """The command has ended; so long without a byte, and the output has too, though it may still be open."""
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
        *,
        allow_empty: bool = False,
        grace_s: float = GRACE_S,
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
        self._allow_empty = allow_empty
        self._grace_s = grace_s
        self._buffer = memoryview(bytearray(MAX_CHUNK_BYTES + BLOCK_BYTES))

    async def read(self, name: bytes, on_bytes: Callable[[int], None]) -> Stored:
        """Store the whole output under `name`. on_bytes: told the bytes so far.

        Raises:
            SourceCommandError: the command cannot be started, ends with anything but 0, or prints nothing.
            StorageUnavailableError, StorageFullError, StorageDeniedError: from the packer.
        """
        begun_ns = time.time_ns()
        with tempfile.TemporaryFile() as complaints:
            reading, writing = os.pipe2(os.O_CLOEXEC)
            try:
                process = await self._start(writing, complaints)
            finally:
                os.close(writing)
            output = Output(reading)
            ending = asyncio.create_task(self._end(process, output))
            try:
                content, size = await self._store(output, on_bytes)
                code = await ending
                said = tail_of(complaints, _KEPT_OUTPUT_BYTES).strip()
            finally:
                ending.cancel()
                try:
                    await end_command(process)
                finally:
                    os.close(reading)
        self._judge(code, size, said)
        warning = LEFT_OPEN if output.left_open else ""
        return Stored(_node(name, content, size, begun_ns), size, warning, lost=output.left_open)

    async def _end(self, process: Process, output: Output) -> int:
        """Wait for the command's end and let the output end with it; its exit code."""
        code = await process.wait()
        output.ends_after(0 if code else self._grace_s)
        return code

    def _judge(self, code: int, size: int, said: str) -> None:
        """What a command's end is worth.

        Raises:
            SourceCommandError: nothing that could be kept.
        """
        if code:
            _LOG.warning("the command of a source failed with %d: %s", code, said)
            raise SourceCommandError(
                f"the command of the source failed with exit code {code}; nothing was stored of it",
                hint="The worker's log has what it said; run it by hand as the user that the worker runs as.",
            )
        if not size and not self._allow_empty:
            _LOG.warning("the command of a source ended well and printed nothing; it said: %s", said)
            raise SourceCommandError(
                "the command of the source ended well without printing a byte; nothing was stored of it",
                hint=f"If it may be empty, set allow_empty = true. Note that {_PIPEFAIL}",
            )
        if said:
            _LOG.info("the command of a source ended well and said: %s", said)
        if is_blind_pipeline(self._command):
            _LOG.warning("the command of a source would hide a failure of its first parts: %s", _PIPEFAIL)

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

    async def _store(self, output: Output, on_bytes: Callable[[int], None]) -> tuple[list[BlobId], int]:
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
