"""This process identifies itself, as key files and locks record it. The environment is not asked.

A process number alone tells nothing on a host whose containers have the same name: each PID namespace counts by itself.
It does tell something together with the *place* where it counts: the kernel's boot id, and the kernel's numbers of the
PID namespace and of the time namespace (the start times in /proc are shown in the reader's). Only between two processes
of one place can it be said that a process has ended. That a machine was started again is no such proof: another boot
id may belong to another machine that was cloned from the same image, machine-id and name included, and lives.
"""

import contextlib
import os
import pwd
import socket
from functools import lru_cache
from pathlib import Path
from typing import Final

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACES: Final = ("pid", "time")
_STARTED: Final = 19
"""starttime in /proc/PID/stat, counted after the name (proc_pid_stat(5))."""


@lru_cache(maxsize=1)
def this_host() -> str:
    """The host's name, as restic sees it too (uname's node name)."""
    return socket.gethostname()


@lru_cache(maxsize=1)
def this_user() -> str:
    """The user's name, or the number where the system knows no name."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


@lru_cache(maxsize=1)
def this_place() -> str:
    """Where this process's number counts; empty where that cannot be said, and so no process be called dead."""
    try:
        if not _proc_is_ours():
            return ""
        boot = _BOOT_ID.read_text(encoding="ascii").strip()
        numbers = [_namespace(name) for name in _NAMESPACES]
    except (OSError, UnicodeDecodeError):
        return ""
    return ":".join([boot, *numbers]) if boot else ""


def started_at(pid: int) -> int | None:
    """When a process of this place was started, in ticks since the boot; None when it cannot be seen."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return int(fields[_STARTED])
    except (OSError, ValueError, IndexError):
        return None


def is_gone(place: str, pid: int, started: int) -> bool:
    """Whether the process that had this number in that place, since then, has certainly ended."""
    if not place or place != this_place() or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        pass  # it lives, or another one by now
    now = started_at(pid)
    return now is not None and now != started


def _namespace(name: str) -> str:
    try:
        return str(os.stat(f"/proc/self/ns/{name}").st_ino)
    except FileNotFoundError:
        return "-"  # Linux before 5.6 has no namespaces of time


def _proc_is_ours() -> bool:
    """Whether /proc counts processes as this process's own namespace does: not so where it was not mounted for it."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("NSpid:"):
            numbers = line.split()[1:]
            with contextlib.suppress(ValueError):
                return [int(number) for number in numbers] == [os.getpid()]
    return False
