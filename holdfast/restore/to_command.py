"""A restored file as a command's input: what a dump was made for."""

import asyncio
import logging
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from holdfast.commands import end_command, start_command, tail_of
from holdfast.errors import RestoreCommandError, SnapshotNotFoundError
from holdfast.format.index import BlobType
from holdfast.format.tree import Node
from holdfast.ids import BlobId
from holdfast.repository.packs.loader import BlobLoader, find_node

GRACE_S: Final = 10.0
_LOOK_EVERY_S: Final = 0.2
_KEPT_OUTPUT_BYTES: Final = 64 * 1024
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandOutcome:
    """The command has ended well. output: the end of what it printed, for the record on the worker."""

    bytes_given: int
    output: str
    started_ns: int = 0
    ended_ns: int = 0


async def restore_to_command(
    loader: BlobLoader,
    tree: BlobId,
    path: bytes,
    command: Sequence[str],
    *,
    environ: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
    on_bytes: Callable[[int], None] = lambda _: None,
) -> CommandOutcome:
    """Give the file at `path` of a snapshot's tree to a command; every blob is checked by its hash before.

    environ: all that the command gets of one.
    The command is run once and not retried here: nobody knows what running it twice would do.

    Raises:
        SnapshotNotFoundError: the snapshot has no such file.
        RestoreCommandError: the command cannot be started, closes its input early, takes too long, or fails.
        BlobMissingError, CorruptFileError, StoredFileMissingError: the file cannot be read; the command is killed.
    """
    node = await asyncio.to_thread(find_file, loader, tree, path)
    started_ns = time.time_ns()
    with tempfile.TemporaryFile() as printed:
        try:
            process = await start_command(command, environ or {}, stdin=PIPE, stdout=printed, stderr=printed)
        except OSError as error:
            raise RestoreCommandError(
                f"the restore command cannot be started: {error.strerror}",
                hint="Give the program's full path in `restore_command`; it is run without a shell.",
            ) from error
        try:
            async with asyncio.timeout(timeout_s):
                given = await _feed_while_it_runs(process, loader, node, on_bytes)
                code = await process.wait()
        except TimeoutError as error:
            raise RestoreCommandError(
                f"the restore command did not end within {timeout_s:g} s and was killed",
                hint="Give it more time, or look at what it waits for.",
            ) from error
        finally:
            await end_command(process)
        output = tail_of(printed, _KEPT_OUTPUT_BYTES).strip()
    if code or given < node.size:
        _LOG.warning(
            "a restore command ended with %d after %d of %d bytes: %s", code, given, node.size, output
        )
        raise RestoreCommandError(
            f"the restore command failed with exit code {code} after {given} of {node.size} bytes",
            hint="The worker's log has what it said.",
        )
    return CommandOutcome(bytes_given=given, output=output, started_ns=started_ns, ended_ns=time.time_ns())


def find_file(loader: BlobLoader, tree: BlobId, path: bytes) -> Node:
    """The node of a regular file.

    Raises:
        SnapshotNotFoundError: there is none at this path.
    """
    node = find_node(loader.load_tree, tree, path)
    if node is None or not node.is_file:
        raise SnapshotNotFoundError(
            "the snapshot has no such file for the command", hint="`holdfast ls` shows what it holds."
        )
    return node


async def _feed_while_it_runs(
    process: Process, loader: BlobLoader, node: Node, on_bytes: Callable[[int], None]
) -> int:
    """Feed it; the bytes that it took. A child that it leaves behind with its input open, and that reads nothing, would
    hold this up for as long as it lives: the feeding ends GRACE_S after the command."""
    taken = 0

    def count(given: int) -> None:
        nonlocal taken
        taken = given
        on_bytes(given)

    feeding = asyncio.create_task(_feed(process, loader, node, count))
    ended_at = None
    try:
        # `process.wait` would not do: it waits for the input to be closed as well.
        while not (await asyncio.wait((feeding,), timeout=_LOOK_EVERY_S))[0]:
            if process.returncode is None:
                continue
            ended_at = ended_at or time.monotonic()
            if time.monotonic() - ended_at >= GRACE_S and process.stdin is not None:
                process.stdin.transport.abort()
                return taken
        return feeding.result()
    finally:
        feeding.cancel()


async def _feed(process: Process, loader: BlobLoader, node: Node, on_bytes: Callable[[int], None]) -> int:
    """Write the content to the command's input; the bytes that it took before it closed that."""
    if process.stdin is None:
        raise RestoreCommandError("the restore command has no input")
    given = 0
    try:
        for blob in node.content_ids:
            data = await asyncio.to_thread(loader.load, blob, BlobType.DATA)
            process.stdin.write(data)
            await process.stdin.drain()
            given += len(data)
            on_bytes(given)
        process.stdin.close()
        await process.stdin.wait_closed()
    except (BrokenPipeError, ConnectionResetError):
        return given
    return given
