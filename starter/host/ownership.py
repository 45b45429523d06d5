"""A state directory says which process runs what: locks that end with their holder, and its notes beside them.

A note counts while its lock is held, so nothing has to be cleaned up after SIGKILL.
- `server.lock` is held by the process that runs the embedded server, *and by that server itself*, which inherits the
  descriptor: while any of the two lives, nobody starts a second server on the database. `server.json` keeps the
  ports, also between servers, so that clients and workers find the next one where the last one was.
- `service.lock` is held by `holdfast up`, of which there can be one.
- `services/….json` are each held by their writer, `holdfast up` or `holdfast worker`: the queues that it serves;
  `codecs/….json` by a `holdfast codec-server`: where it listens.
"""

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from holdfast.starter.host.processes import make_private, unwritable

_SERVER_LOCK: Final = "server.lock"
_SERVER_NOTE: Final = "server.json"
_SERVICE_LOCK: Final = "service.lock"
_SERVICES_FOLDER: Final = "services"
_CODECS_FOLDER: Final = "codecs"
_MAX_NOTE_BYTES: Final = 1 << 20

_Note = TypeVar("_Note", bound=msgspec.Struct)


class ServerNote(msgspec.Struct, frozen=True, kw_only=True):
    """Where the embedded server listens; pid is that of the process that owns it.

    starts: how often a server was started on its database since that was new (server_database.py). served: it answered.
    """

    port: int
    ui_port: int
    pid: int
    starts: int = 0
    served: bool = False


class ServiceNote(msgspec.Struct, frozen=True, kw_only=True):
    """A running service notes what it serves. up: it is `holdfast up`, not `holdfast worker`."""

    pid: int
    up: bool
    queues: tuple[str, ...]


class CodecNote(msgspec.Struct, frozen=True, kw_only=True):
    """A running codec server notes where it listens. token_file: of the token that it asks for, if it does."""

    pid: int
    url: str
    token_file: str | None


class Claim:
    """An exclusive lock on a file, held until it is released and every process that inherited it has ended."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    @classmethod
    def take(cls, path: Path) -> "Claim | None":
        """The lock, or None when another process holds it.

        Raises:
            StorageDeniedError, StorageFullError: the file cannot be made.
        """
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise unwritable(path, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return cls(descriptor)

    def release(self) -> None:
        """Let it go. Only this copy of the descriptor: an heir goes on holding the lock."""
        os.close(self.descriptor)


def claim_server(state_dir: Path) -> Claim | None:
    """The right to run the embedded server, unless a process has it."""
    return Claim.take(make_private(state_dir) / _SERVER_LOCK)


def claim_service(state_dir: Path) -> Claim | None:
    """The right to be the service of this state directory, unless a process is."""
    return Claim.take(make_private(state_dir) / _SERVICE_LOCK)


def read_server_note(state_dir: Path) -> ServerNote | None:
    """Where the embedded server listens, or listened when it last ran; None when it never did."""
    return _read(state_dir / _SERVER_NOTE, ServerNote)


def write_server_note(state_dir: Path, note: ServerNote) -> None:
    """Tell where the embedded server listens.

    Raises:
        StorageDeniedError, StorageFullError: the file cannot be written.
    """
    path = state_dir / _SERVER_NOTE
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        _write_private(temporary, note)
        temporary.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error


@contextlib.contextmanager
def registered_service(state_dir: Path, note: ServiceNote) -> Iterator[None]:
    """Tell what this process serves, while the context lasts."""
    with _noted(state_dir, _SERVICES_FOLDER, note):
        yield


def running_services(state_dir: Path) -> list[ServiceNote]:
    """The services that run on this host at the moment. Notes that were left behind are removed.

    Raises:
        StorageDeniedError: the state directory is none, or not ours.
    """
    return _running(state_dir, _SERVICES_FOLDER, ServiceNote)


@contextlib.contextmanager
def registered_codec(state_dir: Path, note: CodecNote) -> Iterator[None]:
    """Tell where this process's codec server listens, while the context lasts.

    Raises:
        StorageDeniedError, StorageFullError: the state directory cannot be written.
    """
    with _noted(state_dir, _CODECS_FOLDER, note):
        yield


def running_codecs(state_dir: Path) -> list[CodecNote]:
    """The codec servers of this state directory, as `running_services`."""
    return _running(state_dir, _CODECS_FOLDER, CodecNote)


@contextlib.contextmanager
def _noted(state_dir: Path, folder: str, note: msgspec.Struct) -> Iterator[None]:
    path = make_private(make_private(state_dir) / folder) / f"{secrets.token_hex(8)}.json"
    claim = _claim_own(path)
    try:
        os.ftruncate(claim.descriptor, 0)
        os.pwrite(claim.descriptor, msgspec.json.encode(note), 0)
        yield
    finally:
        path.unlink(missing_ok=True)
        claim.release()


def _running(state_dir: Path, name: str, kind: type[_Note]) -> list[_Note]:
    notes: list[_Note] = []
    folder = state_dir / name
    with contextlib.suppress(FileNotFoundError):
        try:
            found = sorted(folder.iterdir())
        except (NotADirectoryError, PermissionError) as error:
            raise unwritable(folder, error) from error
        for path in found:
            claim = Claim.take(path)
            if claim is None:
                note = _read(path, kind)
                notes += [note] if note is not None else []
            else:
                path.unlink(missing_ok=True)
                claim.release()
    return notes


def _claim_own(path: Path) -> Claim:
    """The lock on a file of our own name: at most a reader, that finds it free and removes it, is before us."""
    while True:
        claim = Claim.take(path)
        if claim is None:
            time.sleep(0.01)
        elif os.fstat(claim.descriptor).st_nlink:
            return claim
        else:
            claim.release()


def _write_private(path: Path, note: msgspec.Struct) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(msgspec.json.encode(note))


def _read(path: Path, kind: type[_Note]) -> _Note | None:
    """A note; one that is not there, or that makes no sense, is none."""
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(_MAX_NOTE_BYTES), type=kind)
    except (OSError, msgspec.DecodeError):
        return None
