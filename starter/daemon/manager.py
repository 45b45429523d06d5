"""A service tells its manager that it is there, that it lives, and that it ends.

The protocol is systemd's (sd_notify(3)): the manager names a socket in NOTIFY_SOCKET, and each datagram to it holds
lines `NAME=value`. Where nobody named one, nothing is told. What is told is a courtesy: a manager that does not listen
is no reason to end.

WATCHDOG_USEC is how long the manager waits for a sign of life. It comes from the event loop, so a supervisor that
hangs gives none; workers and server are the supervisor's own business. A process that is ended for it says first where
each of its threads was.
"""

import asyncio
import contextlib
import faulthandler
import os
import socket
from collections.abc import Mapping
from typing import Final

_US_PER_S: Final = 1_000_000


class Manager:
    """The service manager that started this process; one that listens to nothing where there is none."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        path = environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{path[1:]}" if path.startswith("@") else path
        self._patience_s = _patience_s(environ)

    def tell_ready(self, status: str) -> None:
        """It serves now. status: one line for people, which `systemctl status` shows."""
        self._tell("READY=1", f"STATUS={status}")

    def tell_ending(self, within_s: float) -> None:
        """It ends, and takes so long at most: the manager is to wait for it."""
        self._tell("STOPPING=1", "STATUS=ending", f"EXTEND_TIMEOUT_USEC={int(within_s * _US_PER_S)}")

    async def keep_informed(self) -> None:
        """Give signs of life while this is not cancelled, twice as often as they are looked for."""
        if not self._patience_s:
            return
        faulthandler.enable()  # the manager ends what is silent with SIGABRT
        while True:
            self._tell("WATCHDOG=1")
            await asyncio.sleep(self._patience_s / 2)

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as talking:
            talking.settimeout(0)
            talking.sendto("\n".join(lines).encode(), self._address)


def _patience_s(environ: Mapping[str, str]) -> float:
    """How long the manager waits for a sign of life of this very process; 0 where it waits for none."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    with contextlib.suppress(ValueError):
        return int(environ.get("WATCHDOG_USEC", "0")) / _US_PER_S
    return 0.0
