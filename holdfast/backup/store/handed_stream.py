"""A source that is a stream which another process of this host hands over: its standard input, or a command's output.

That process listens at a socket, the *door*, which its own user alone can reach. Who connects gets the stream's
descriptor itself, so that no byte is copied on the way, and nothing is kept anywhere but in a block of memory. Of a
command the exit code follows when it has ended, and only then is the end of its output believed.

    reader                          door
    connect ──────────────────────▶
            ◀────────────────────── "stream" or "output", with the descriptor; or "gone"
    read to the end
            ◀────────────────────── of an output: the exit code
    store

What was read cannot be read again. An attempt that dies takes its part of standard input with it: the next one finds it
gone, and the run fails, for good. A command is begun again. Nothing is stored of what broke off.
"""

import array
import asyncio
import os
import socket
import struct
import time
from collections.abc import Callable
from typing import Final

from holdfast.backup.documents import Stored
from holdfast.backup.store.command_source import GRACE_S, LEFT_OPEN
from holdfast.backup.store.output import Output, OutputStore, stream_node
from holdfast.errors import SourceMissingError, StreamBrokenError

STREAM: Final = b"stream"
OUTPUT: Final = b"output"
GONE: Final = b"gone"
_TIMEOUT_S: Final = 10.0
_LONGEST_MESSAGE: Final = 64
_CREDENTIALS: Final = struct.Struct("3i")


class HandedReader:
    """Takes a stream from its door, and stores it."""

    def __init__(self, door: str, output: OutputStore, *, allow_empty: bool = False) -> None:
        self._door = door
        self._output = output
        self._allow_empty = allow_empty

    async def read(self, name: bytes, on_bytes: Callable[[int], None]) -> Stored:
        """Store the whole stream under `name`. on_bytes: told the bytes so far.

        Raises:
            StreamBrokenError: it is gone, or who handed it over is, or what wrote it has failed.
            SourceMissingError: it was empty.
            StorageUnavailableError, StorageFullError, StorageDeniedError: from the packer.
        """
        begun_ns = time.time_ns()
        with await asyncio.to_thread(connected, self._door) as connection:
            reading, is_watched = await asyncio.to_thread(_received, connection)
            output = Output(reading)
            ending = asyncio.create_task(self._end(connection, output)) if is_watched else None
            try:
                content, size = await self._output.store(output, on_bytes)
                code = b"0" if ending is None else await ending
            finally:
                if ending is not None:
                    ending.cancel()
                os.set_blocking(reading, True)  # it may be shared with a shell
                os.close(reading)
        self._judge(code, size)
        warning = LEFT_OPEN if output.left_open else ""
        node = stream_node(name, content, size, begun_ns)
        return Stored(node, size, warning, lost=output.left_open)

    @staticmethod
    async def _end(connection: socket.socket, output: Output) -> bytes:
        """Wait until the command has ended, and let its output end with it; the exit code, empty where nobody says."""
        connection.settimeout(0)
        code = await asyncio.get_running_loop().sock_recv(connection, _LONGEST_MESSAGE)
        output.ends_after(GRACE_S if code == b"0" else 0)
        return code

    def _judge(self, code: bytes, size: int) -> None:
        if not code:
            raise StreamBrokenError(
                "the program that ran the command has ended before it said how that did; nothing was stored of it",
                hint="Start it again.",
            )
        if code != b"0":
            raise StreamBrokenError(
                f"the command failed with exit code {code.decode(errors='replace')}; nothing was stored of it",
                hint="It has said why on the terminal that it was started from.",
            )
        if not size and not self._allow_empty:
            raise SourceMissingError(
                "the stream ended without a byte; nothing was stored of it",
                hint="If it may be empty, give --allow-empty.",
            )


def connected(door: str) -> socket.socket:
    """A connection to a door of this user's.

    Raises:
        StreamBrokenError: nobody is there, or somebody else.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    try:
        connection.settimeout(_TIMEOUT_S)
        folder = os.open(os.path.dirname(door), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:  # a path of a socket has at most 107 bytes
            connection.connect(f"/proc/self/fd/{folder}/{os.path.basename(door)}")
        finally:
            os.close(folder)
        if not is_own(connection):
            raise PermissionError
    except OSError:
        connection.close()
        raise _gone() from None
    return connection


def is_own(connection: socket.socket) -> bool:
    """Whether this user, or root, is at the other end."""
    size = _CREDENTIALS.size
    _, user, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return user in {os.getuid(), 0}


def _received(connection: socket.socket) -> tuple[int, bool]:
    """The stream's descriptor, and whether an exit code follows.

    Raises:
        StreamBrokenError: it has been given away.
    """
    descriptors = array.array("i")
    try:
        message, ancillary, _, _ = connection.recvmsg(
            _LONGEST_MESSAGE, socket.CMSG_SPACE(descriptors.itemsize), socket.MSG_CMSG_CLOEXEC
        )
    except OSError:
        raise _gone() from None
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    if message not in {STREAM, OUTPUT} or len(descriptors) != 1:
        for descriptor in descriptors:
            os.close(descriptor)
        raise _gone()
    return descriptors[0], message == OUTPUT


def _gone() -> StreamBrokenError:
    return StreamBrokenError(
        "standard input was read before, by an attempt that did not reach its end, and cannot be read again; nothing "
        "was stored of it",
        hint="Start the command again; what --stdin-from-command runs is begun again by itself.",
    )
