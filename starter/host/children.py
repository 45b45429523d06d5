"""Children are known by their process descriptors, whether this process started or adopted them.

A descriptor of a process becomes readable when the process ends, and names no other one even when the number is used
again. asyncio's own subprocesses have to be started by the loop that waits for them; these need not.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
from collections.abc import Mapping, Sequence
from typing import Final

_PR_SET_CHILD_SUBREAPER: Final = 36


class Child:
    """A child of this process, to be waited for by the running loop. Another process may have started it."""

    def __init__(self, pid: int) -> None:
        """pid: of a child that nobody has waited for.

        Raises:
            ProcessLookupError: there is none.
        """
        self.pid = pid
        self.returncode: int | None = None
        self._descriptor = os.pidfd_open(pid)
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[int] = self._loop.create_future()
        self._loop.add_reader(self._descriptor, self._reap)

    async def wait(self) -> int:
        """The exit code, once it has ended: negative for the signal that ended it."""
        return await asyncio.shield(self._ended)

    def terminate(self) -> None:
        """Ask it to end."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, number)

    def _reap(self) -> None:
        self._loop.remove_reader(self._descriptor)
        try:
            ended = os.waitid(os.P_PIDFD, self._descriptor, os.WEXITED)
        except ChildProcessError:
            ended = None  # it was never adopted; nobody can say how it ended
        os.close(self._descriptor)
        self.returncode = _code(ended)
        self._ended.set_result(self.returncode)


def _code(ended: os.waitid_result | None) -> int:
    if ended is None:
        return -signal.SIGKILL
    return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status


def spawn(
    command: Sequence[str], *, environment: Mapping[str, str], stderr: int, descriptors: Sequence[int]
) -> int:
    """Start a program in a session of its own, with these descriptors and no others; its process number.

    Raises:
        OSError: it cannot be started.
    """
    actions: list[tuple[int, int, int] | tuple[int, int, str, int, int]] = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_DUP2, stderr, 2),
    ]
    # A descriptor that is copied onto itself is inherited; all others close by themselves.
    actions += [(os.POSIX_SPAWN_DUP2, descriptor, descriptor) for descriptor in descriptors]
    return os.posix_spawn(command[0], list(command), dict(environment), file_actions=actions, setsid=True)


class _Adoption:
    """While it lasts, what a child leaves behind when it ends becomes a child of this process."""

    def __init__(self) -> None:
        self._times = 0

    def begin(self) -> None:
        """Each of these wants its own `end`."""
        self._times += 1
        self._set()

    def end(self) -> None:
        """Adopt no more, unless another user of it wants to."""
        self._times -= 1
        self._set()

    def _set(self) -> None:
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(self._times > 0), 0, 0, 0)


ADOPTION: Final = _Adoption()
"""Not for longer than is needed: what hooks leave behind is the init process's business, which waits for it."""
