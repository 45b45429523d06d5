"""What rclone reaches: through a child `rclone serve restic`, on a socket that nobody else can use.

`rclone:remote:path` is any of rclone's remotes; `sftp:user@host:/path` and `sftp://user@host:port//path` (restic's
internal/backend/sftp/config.go) are rclone's SFTP over this host's `ssh`, so that its keys, aliases and known hosts are
those of ssh's own settings.

The child ends with this process, whatever ends it: a shell between the two waits for the end of a pipe that only this
process holds, and ends rclone then. It ends before that with the last reference to its storage, closed or not, and its
folder goes with it. A child that has died is started again at the next request.
"""

import contextlib
import os
import posixpath
import shlex
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from holdfast.errors import StorageDeniedError, StorageUnavailableError, UsageError
from holdfast.storage.rest.place import RestPlace

_SHELL: Final = (
    'exec 3<&0; "$@" 3<&- </dev/null & child=$!; { cat <&3 >/dev/null; kill "$child"; } & watch=$!; '
    'exec 3<&-; wait "$child"; kill "$watch"'
)
_SERVE: Final = ("serve", "restic", "--b2-hard-delete", "--cache-objects=false", "--log-level", "ERROR")
_SSH: Final = (
    *("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=20"),
    *("-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4"),
)
"""A connection that is dead is given up after a minute."""
_PASSED: Final = ("HOME", "PATH", "SSH_AUTH_SOCK")
_READY_S: Final = 60.0
_LOOK_AGAIN_S: Final = 0.02
_END_S: Final = 5.0
_SHOWN: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class RclonePlace:
    """A repository behind rclone. remote: as rclone takes it."""

    location: str
    remote: str

    @classmethod
    def parse(cls, location: str) -> "RclonePlace":
        """From `rclone:remote:path`.

        Raises:
            UsageError: there is no remote, or it is given by a connection string, which may hold a password.
        """
        remote = location.removeprefix("rclone:")
        name, colon, _ = remote.partition(":")
        if not name or not colon or not remote.isprintable() or "," in name:
            raise UsageError(
                "a location of kind rclone names one of rclone's remotes and a path",
                hint="Write rclone:REMOTE:PATH, and describe the remote with `rclone config`.",
            )
        return cls(location=location, remote=remote)

    @classmethod
    def parse_sftp(cls, location: str) -> "RclonePlace":
        """From restic's spellings of an SFTP host.

        Raises:
            UsageError: it is none of them, or holds a password.
        """
        user, host, port, path = _sftp(location)
        words = [*_SSH, *(["-p", port] if port else []), *(["-l", user] if user else []), host]
        quoted = " ".join(words).replace('"', '""')
        return cls(location=location, remote=f':sftp,ssh="{quoted}",shell_type=none:{path}')


class RcloneServer:
    """The child that serves a place."""

    def __init__(self, place: RclonePlace) -> None:
        self._place = place
        self._lock = threading.Lock()
        self._child = contextlib.ExitStack()
        weakref.finalize(self, _end_dropped, self._child, os.getpid())
        self._served: RestPlace | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._values: Mapping[str, str] = {}
        self._worked = False

    def ready(self, values: Mapping[str, str]) -> RestPlace:
        """See the protocol `Server`."""
        with self._lock:
            running = self._process is not None and self._process.poll() is None
            if self._served is None or not running or values != self._values:
                self._end()
                self._served = self._start(values)
            return self._served

    def close(self) -> None:
        """See the protocol `Server`."""
        with self._lock:
            self._end()

    def _start(self, values: Mapping[str, str]) -> RestPlace:
        """The socket lies in a folder of this user alone."""
        program = shutil.which("rclone", path=values.get("PATH", os.defpath))
        if program is None:
            raise StorageDeniedError(
                f"{self._place.location}: the program rclone is not there",
                hint="Install rclone 1.64 or later.",
            )
        folder = Path(tempfile.mkdtemp(prefix="holdfast-rclone-"))
        self._child.callback(shutil.rmtree, folder, ignore_errors=True)
        path, log = str(folder / "socket"), folder / "log"
        command = ["sh", "-c", _SHELL, "sh", program, *_SERVE, "--addr", f"unix://{path}", self._place.remote]
        passed = {
            name: value for name, value in values.items() if name in _PASSED or name.startswith("RCLONE_")
        }
        with log.open("wb") as said:
            # a session of its own: Ctrl-C asks the command to stop, which may have a lock to remove there
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=said,
                env={"PATH": os.defpath, **passed},
                start_new_session=True,
            )
        self._child.callback(_end_process, self._process)
        self._values = dict(values)
        until = time.monotonic() + _READY_S
        while not _answers(path):
            if self._process.poll() is not None or time.monotonic() > until:
                failure = self._failure(log)
                self._end()
                raise failure
            time.sleep(_LOOK_AGAIN_S)
        self._worked = True
        return RestPlace(location=self._place.location, socket=path)

    def _failure(self, log: Path) -> StorageDeniedError | StorageUnavailableError:
        lines = log.read_text("utf-8", "replace").strip().splitlines() or ["it said nothing"]
        said = lines[-1][:_SHOWN]
        if self._worked:
            return StorageUnavailableError(f"{self._place.location}: rclone cannot serve it: {said}")
        return StorageDeniedError(
            f"{self._place.location}: rclone cannot serve it: {said}",
            hint=f"Try `{shlex.join(('rclone', 'lsf', self._place.remote))}` by hand.",
        )

    def _end(self) -> None:
        self._process, self._served = None, None
        self._child.close()


def _end_dropped(child: contextlib.ExitStack, owner: int) -> None:
    """End the child of a storage that was dropped without `close`; not in a process that was forked with it."""
    if os.getpid() == owner:
        child.close()


def _end_process(process: "subprocess.Popen[bytes]") -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(path)
        except OSError:
            return False
        return True


def _sftp(location: str) -> tuple[str, str, str, str]:
    """(user, host, port, path) of one of restic's two spellings."""
    wrong = UsageError(
        "a location of kind sftp names a host and a path",
        hint="Write sftp:USER@HOST:/PATH or sftp://USER@HOST//PATH.",
    )
    if not location.isprintable() or '"' in location or "'" in location:
        raise wrong
    if location.startswith("sftp://"):
        try:
            parts = urlsplit(location)
            number, host = parts.port, parts.hostname or ""
        except ValueError:
            raise wrong from None
        if parts.password is not None:
            raise UsageError(
                "a location of kind sftp holds no password", hint="Give ssh a key, or an agent that has one."
            )
        user, port, path = unquote(parts.username or ""), str(number or ""), unquote(parts.path[1:])
    else:
        where, colon, path = location.removeprefix("sftp:").partition(":")
        user, _, host = where.rpartition("@")
        port = ""
        if not colon:
            raise wrong
    if not host or not path or host.startswith("-") or user.startswith("-") or " " in host + user:
        raise wrong
    if path.startswith("~"):
        raise UsageError(
            "the path in a location of kind sftp begins with `~`",
            hint="A relative path begins at the home directory.",
        )
    return user, host, port, posixpath.normpath(path)
