"""Hands a stream over to the worker that backs it up: standard input, or the output of a command of this shell.

The worker gets the descriptor itself (backup/store/handed_stream.py). Standard input is given away once; a command is
begun for each attempt, in this process's environment and folder, its complaints go to this terminal, and it is ended
when its reader has gone.
"""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import threading
from pathlib import Path
from typing import Final, Self

from holdfast.backup.store.handed_stream import GONE, OUTPUT, STREAM, is_own

_FOLDER: Final = "streams"
_LOOK_EVERY_S: Final = 0.1


class Door:
    """A socket at which the stream can be had, while this context lasts. Enter it once nothing is forked any more."""

    def __init__(self, state_dir: Path, command: tuple[str, ...] = (), *, stdin: int = 0) -> None:
        """command: whose output it is; empty for this descriptor."""
        self.path = state_dir / _FOLDER / secrets.token_hex(8)
        self._command = command
        self._stdin = stdin
        self._taken = False
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="door", daemon=True)

    def __enter__(self) -> Self:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = os.open(self.path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:  # a path of a socket has at most 107 bytes
            self._listening.bind(f"/proc/self/fd/{folder}/{self.path.name}")
        finally:
            os.close(folder)
        self.path.chmod(0o600)
        self._listening.listen()
        self._listening.settimeout(_LOOK_EVERY_S)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._listening.close()
        self.path.unlink(missing_ok=True)

    def _serve(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._listening.accept()
            except TimeoutError:
                continue
            with connection, contextlib.suppress(OSError):  # a reader that has gone needs nothing
                if is_own(connection):
                    self._hand_over(connection)

    def _hand_over(self, connection: socket.socket) -> None:
        if self._command:
            self._run(connection)
        elif self._taken:
            connection.send(GONE)
        else:
            self._taken = True
            socket.send_fds(connection, [STREAM], [self._stdin])

    def _run(self, connection: socket.socket) -> None:
        try:
            process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
            )
        except OSError:
            with open(os.devnull, "rb") as nothing:
                socket.send_fds(connection, [OUTPUT], [nothing.fileno()])
            connection.send(b"127")  # as a shell says it
            return
        try:
            if process.stdout is not None:
                with process.stdout as output:
                    socket.send_fds(connection, [OUTPUT], [output.fileno()])
            while process.poll() is None and not self._over.is_set() and not _has_gone(connection):
                self._over.wait(_LOOK_EVERY_S)
        finally:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        connection.send(str(process.returncode).encode())


def _has_gone(connection: socket.socket) -> bool:
    try:
        return not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
