"""Commands in this process, for one repository; and a place where a process dies at a write."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import StorageUnavailableError
from holdfast.repository.layout import CONFIG, DATA, INDEX, KEYS, LOCKS, SNAPSHOTS, folders
from holdfast.repository.locking import LockLease
from holdfast.repository.repository import Repository
from holdfast.repository.session import RepositorySession
from holdfast.starter.main import main
from holdfast.storage.contract import Storage
from holdfast.storage.local import LocalStorage
from tests.support.doubles import DyingStorage, Killed
from tests.support.engine import PASSWORD, SMALL_PACK_BYTES
from tests.support.memory_storage import MemoryStorage


class Commands:
    """What holdfast prints and how it ends, for the repository in this folder."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.repository = folder / "repository"
        self._capfd = capfd

    def __call__(self, *words: str, code: int = 0) -> str:
        """Standard output of a command that ends with this code."""
        self._capfd.readouterr()
        assert main([*words]) == code, self._capfd.readouterr()
        return self._capfd.readouterr().out

    def error(self, *words: str, code: int = 1) -> str:
        """What a command says that fails."""
        self._capfd.readouterr()
        assert main([*words]) == code
        return self._capfd.readouterr().err

    def json(self, *words: str) -> list[Any]:
        """The documents that a command prints, one a line."""
        return [json.loads(line) for line in self(*words, "--json").splitlines()]


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Commands:
    for name in list(os.environ):
        if name.startswith(("RESTIC_", "HOLDFAST_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOLDFAST_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("RESTIC_REPOSITORY", str(tmp_path / "repository"))
    monkeypatch.setenv("RESTIC_PASSWORD", PASSWORD.decode())
    return Commands(tmp_path, capfd)


@contextmanager
def quick_session(place: Path | Storage) -> Iterator[RepositorySession]:
    """A session whose shared lock does not linger: what needs the exclusive one does not wait for it."""
    storage = LocalStorage(place) if isinstance(place, Path) else place
    session = RepositorySession(Repository.open(storage, PASSWORD))
    session.lease = LockLease(session.repository, linger_s=0.0)
    try:
        yield session
    finally:
        session.close()


def dies_at(place: Storage, at: int, *, done: bool, work: Callable[[RepositorySession], object]) -> bool:
    """Let a process work on a repository, and die before or after its write number `at`; whether it came so far.

    Its locks are taken away, as `unlock` does it.
    """
    dying = DyingStorage(place, 1_000_000, done=done)
    session = RepositorySession(Repository.open(dying, PASSWORD), pack_size_bytes=SMALL_PACK_BYTES)
    session.lease = LockLease(session.repository, linger_s=0.0)
    dying.at = at
    try:
        work(session)
    except (Killed, StorageUnavailableError):  # the latter where a thread beside has met it
        return dying.dead
    finally:
        if not dying.dead:
            session.close()
        place.delete_folder(LOCKS)
    return False


def in_memory(path: Path) -> MemoryStorage:
    """A copy of a repository, for many rounds."""
    storage = MemoryStorage()
    for file in path.rglob("*"):
        if file.is_file():
            storage.put(str(file.relative_to(path)), file.read_bytes())
    return storage


def on_disk(storage: Storage, path: Path) -> Path:
    """The same the other way round, for restic."""
    copy = LocalStorage(path)
    copy.make_folders(folders())
    for folder in (INDEX, DATA, KEYS, SNAPSHOTS):
        for stored in storage.list(folder):
            copy.put(stored.name, storage.get(stored.name, limit_bytes=stored.size_bytes))
    copy.put(CONFIG, storage.get(CONFIG, limit_bytes=1 << 16))
    return path


def copied(template: Path, to: Path) -> Path:
    """A copy of a repository, in place of what is there."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(template, to)
    return to
