"""Child processes are started so that none outlives its parent and none sees a secret in its environment.

Children end with their parent by the kernel's doing (PR_SET_PDEATHSIG), so that even SIGKILL of the parent leaves no
orphan. A worker asks for that itself; a foreign program is started through a tether, a tiny Python that asks for it
and then becomes the program. That is neither `preexec_fn`, which may deadlock in a process with threads (and the
Temporal client has many), nor `setpriv --pdeathsig`, which is not everywhere. The signal comes when the *thread*
that forked ends: call this in the main thread.

Children have a session of their own: Ctrl-C in the terminal reaches the parent only, which then decides.
"""

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, NoReturn

from holdfast.errors import EXIT_FAILED, StorageDeniedError, StorageFullError
from holdfast.service.settings.file import CONFIG_VARIABLE
from holdfast.service.settings.state_folder import STATE_VARIABLE
from holdfast.starter.host.children import Child, spawn
from holdfast.storage import os_errors

_PR_SET_PDEATHSIG: Final = 1
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
# The parent may have ended before the call: then another process is the parent by now. What an ordinary user may do
# beyond that (a service that reads everything: starter/daemon/unit.py) is for workers, and not for foreign programs.
_TETHER: Final = f"""
import ctypes, os, sys
ctypes.CDLL(None).prctl({_PR_SET_PDEATHSIG}, {signal.SIGKILL.value}, 0, 0, 0)
ctypes.CDLL(None).prctl({_PR_CAP_AMBIENT}, {_PR_CAP_AMBIENT_CLEAR_ALL}, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.umask(0o77)
os.execv(sys.argv[2], sys.argv[2:])
"""

# What programs need to find their files, their words and the agents that password commands ask. No secret is in one.
_PASSED: Final = frozenset(
    (
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "LANG",
        "LANGUAGE",
        "TZ",
        "TMPDIR",
        "TEMP",
        "TMP",
        "PYTHONPATH",
        "LD_LIBRARY_PATH",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "GNUPGHOME",
        "PASSWORD_STORE_DIR",
        "SSH_AUTH_SOCK",
        "DBUS_SESSION_BUS_ADDRESS",
        CONFIG_VARIABLE,
        STATE_VARIABLE,
    )
)
_PASSED_PREFIXES: Final = ("LC_", "XDG_")
_LOGS_FOLDER: Final = "logs"
_LOG_LIMIT_BYTES: Final = 4 << 20


def child_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The part of this process's environment that children get to see."""
    return {
        name: value for name, value in environ.items() if name in _PASSED or name.startswith(_PASSED_PREFIXES)
    }


def spawn_tethered(
    command: Sequence[str], *, environment: Mapping[str, str], log: int, descriptors: Sequence[int] = ()
) -> int:
    """Start a program that SIGKILL ends with this process, and whose files are this user's only; its process number.

    command: begins with an absolute path. log: the descriptor of the file for what it says.

    Raises:
        OSError: it cannot be started.
    """
    tether = [sys.executable, "-I", "-S", "-c", _TETHER, str(os.getpid())]
    return spawn([*tether, *command], environment=environment, stderr=log, descriptors=descriptors)


async def end_child(child: Child, *, patience_s: float) -> None:
    """Ask it to end, and make it end when it does not within `patience_s`."""
    child.terminate()
    try:
        await asyncio.wait_for(child.wait(), patience_s)
    except TimeoutError:
        await kill_child(child)


async def kill_child(child: Child) -> None:
    """End it now."""
    child.kill()
    await child.wait()


def end_with(parent: int, number: signal.Signals) -> None:
    """Have the kernel send this process the signal when its parent ends; end at once if it has ended already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(EXIT_FAILED)


def end_process(code: int) -> NoReturn:
    """End this process, without taking the interpreter down.

    That takes a quarter of a second, and Temporal's native threads, which still hand over answers then, now and
    then abort the process ("PyGILState_Release") in place of our exit code.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(code)


def ending(code: int) -> str:
    """How a process ended, in words."""
    return f"with exit code {code}" if code >= 0 else f"by {signal.Signals(-code).name}"


def open_log(state_dir: Path, name: str) -> IO[bytes]:
    """The log of that name, to append to; a long one is set aside first as ".1".

    Raises:
        StorageDeniedError, StorageFullError: the state directory cannot be written.
    """
    folder = make_private(state_dir / _LOGS_FOLDER)
    path = folder / f"{name}.log"
    try:
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_size > _LOG_LIMIT_BYTES:
                path.replace(path.with_suffix(".log.1"))
        return open(
            path, "ab", buffering=0, opener=lambda name, flags: os.open(name, flags | os.O_CLOEXEC, 0o600)
        )
    except OSError as error:
        raise unwritable(path, error) from error


def make_private(folder: Path) -> Path:
    """The folder, made if it was not there, for this user only.

    Raises:
        StorageDeniedError, StorageFullError: it cannot be made.
    """
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
    return folder


def unwritable(path: Path, error: OSError) -> StorageDeniedError | StorageFullError:
    """The error about a file of the state directory."""
    return os_errors.unwritable(
        error,
        f"the state directory cannot be written: {path}",
        hint="Choose another one with state_dir in holdfast.toml or HOLDFAST_STATE_DIR.",
    )


@dataclass(slots=True, kw_only=True)
class Backoff:
    """How long to wait before something that ended is started again: longer each time, unless it had a life."""

    first_s: float = 1.0
    longest_s: float = 30.0
    life_s: float = 60.0
    _next_s: float = field(default=0.0, init=False)
    _started_s: float = field(default=0.0, init=False)

    def started(self) -> None:
        """Call this at each start."""
        self._started_s = time.monotonic()

    def pause_s(self) -> float:
        """Call this at each end: the time to wait before the next start."""
        if time.monotonic() - self._started_s >= self.life_s or not self._next_s:
            self._next_s = self.first_s
        pause_s, self._next_s = self._next_s, min(2 * self._next_s, self.longest_s)
        return pause_s
