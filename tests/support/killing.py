"""A server and workers that are killed with SIGKILL and started again, and somebody who watches a restore meanwhile."""

import asyncio
import contextlib
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

from temporalio.client import Client

from tests.support.faults import files_of
from tests.support.service import Installation, start_worker
from tests.support.temporal_server import comes_to_answer, free_port, temporal_binary

_LOOK_AGAIN_S: Final = 0.02


class Server:
    """A Temporal server on a database file: `kill` it, and `start` it again on the same port."""

    def __init__(self, database: Path) -> None:
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        self.database = database
        self._command = [temporal_binary(), "server", "start-dev", "--headless", "--ip", "127.0.0.1"]
        self._command += ["--port", str(port), "--log-level", "error", "--db-filename", str(database)]
        self._command += ["--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=NORMAL"]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the process that runs, or ran last."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start it and wait until it answers."""
        self._process = await asyncio.to_thread(
            subprocess.Popen, self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        assert await comes_to_answer(self.address, self._process)

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    async def client(self) -> Client:
        """A new connection."""
        return await Client.connect(self.address)


class Workers:
    """One worker process at a time; on leaving it is killed as well."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._process: subprocess.Popen[bytes] | None = None
        self.kills = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        """Of the process that runs, or ran last."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start one."""
        self._process = start_worker(self._installation.worker_config(), log=self._installation.log)

    def kill(self) -> None:
        """SIGKILL the one that runs; it must be running."""
        assert self._process is not None
        assert self._process.poll() is None
        self._process.kill()
        self._process.wait()
        self.kills += 1


class Watcher:
    """Looks all the time at what has a final name below `target`: it must be what `source` has there, as a whole."""

    def __init__(self, source: Path, target: Path) -> None:
        self.torn: set[str] = set()
        self.seen: set[str] = set()
        self._source = source
        self._target = target
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        last = False
        while not last:
            last = self._stop.is_set()
            if self._target.exists():
                self._look()
            self._stop.wait(_LOOK_AGAIN_S)

    def _look(self) -> None:
        with contextlib.suppress(FileNotFoundError):  # temporary files come and go while we list
            for name, path in files_of(self._target):
                if name in self.seen:
                    continue
                self.seen.add(name)
                if path.read_bytes() != (self._source / name).read_bytes():
                    self.torn.add(name)


@contextlib.contextmanager
def killable_server(folder: Path) -> Iterator[Server]:
    """A server that is not running yet; killed on leaving."""
    server = Server(folder / "temporal.db")
    try:
        yield server
    finally:
        server.kill()


async def bytes_below(folder: Path, at_least: int) -> None:
    """Wait until the files below a folder, temporary ones too, hold this much."""
    while _size_of(folder) < at_least:
        await asyncio.sleep(_LOOK_AGAIN_S)


def _size_of(folder: Path) -> int:
    size = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            size += path.lstat().st_blocks * 512
    return size
