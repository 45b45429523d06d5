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
import logging
import os
import tempfile
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Mapping, Sequence
from typing import BinaryIO, Final

from holdfast.backup.documents import Stored
from holdfast.backup.store.output import Output, OutputStore, stream_node
from holdfast.commands import end_command, is_blind_pipeline, start_command, tail_of
from holdfast.errors import SourceCommandError

GRACE_S: Final = 10.0
"""How long the output may stay silent after its command has ended well, before it is taken for whole."""
LEFT_OPEN: Final = (
    "the command ended well, but left a process behind that has its output open; nothing came from it for "
    f"{GRACE_S:g} s, so what is stored may lack the end. Let the command wait for what it starts, or give that no "
    "output (>/dev/null)"
)
_KEPT_OUTPUT_BYTES: Final = 16 * 1024
_PIPEFAIL: Final = (
    'where a shell runs a pipeline, only its last part counts; ["bash", "-o", "pipefail", "-c", "…"] has all of them '
    "count."
)
_LOG: Final = logging.getLogger(__name__)


class CommandReader:
    """Runs the command of a source and stores what it prints."""

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        output: OutputStore,
        *,
        allow_empty: bool = False,
        grace_s: float = GRACE_S,
    ) -> None:
        """environ: all that the command gets of one."""
        self._command = tuple(command)
        self._environ = dict(environ)
        self._output = output
        self._allow_empty = allow_empty
        self._grace_s = grace_s

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
                content, size = await self._output.store(output, on_bytes)
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
        return Stored(stream_node(name, content, size, begun_ns), size, warning, lost=output.left_open)

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
