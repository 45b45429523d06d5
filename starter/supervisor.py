"""The supervisor: keeps N worker processes alive while a context lasts, and ends them gracefully after it.

A worker that dies is started again, after a second at first and more slowly when it keeps dying. Its configuration,
with the passwords, goes through a pipe; argv and environment hold no secret.
"""

import asyncio
import contextlib
import logging
import os
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from contracts.worker import ENCRYPTION_KEYS, WorkerConfig
from holdfast.backup.claims import ClaimTable
from holdfast.errors import HoldfastError
from holdfast.settings.model import Settings
from starter.processes import Backoff, child_environment, end_child, ending, open_log, start_child

_WORKER: Final = Path(__file__).parent.parent / "worker.py"
_AFTER_GRACE_S: Final = 15.0
"""More than a worker allows itself after the grace of its activities (worker.py)."""
_MALLOC: Final = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": str(4 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(32 << 20),
}
"""Have glibc keep the memory of chunks that come and go, because touching fresh pages costs more than SHA-256 of them,
but not a heap for each of the threads that come and go as well. Large buffers are pooled by holdfast/buffers.py."""
_LOG: Final = logging.getLogger("holdfast.supervisor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where workers work: the server's address, and the keys of repositories that are open already, by location."""

    address: str
    keys: Mapping[str, bytes] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """What the worker processes of one supervisor have in common.

    place: may become known when they have been started already, which saves the time that they need to load.
    passwords: by repository location. to_stderr: they log there, and not into files of the state directory.
    """

    settings: Settings
    place: "asyncio.Future[Place]"
    queues: tuple[str, ...]
    environ: Mapping[str, str] = field(repr=False)
    passwords: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    to_stderr: bool = False

    def config(self, number: int, place: Place, claims: int = -1) -> WorkerConfig:
        """What worker `number` is told. claims: the descriptor of what they tell each other, if they do."""
        return WorkerConfig(
            address=place.address,
            namespace=self.settings.server.namespace,
            settings=str(self.settings.path or ""),
            state_dir=str(self.settings.state_dir),
            queues=self.queues,
            process=number,
            supervisor_pid=os.getpid(),
            claims_fd=claims,
            passwords={**_passwords_of_variables(self.settings, self.environ), **self.passwords},
            keys=place.keys,
        )


def at(address: str) -> "asyncio.Future[Place]":
    """A place that is known from the beginning."""
    place: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
    place.set_result(Place(address=address))
    return place


@contextlib.asynccontextmanager
async def running_workers(crew: Crew) -> AsyncIterator[None]:
    """Worker processes, while the context lasts. Enter this in the main thread (see processes.py)."""
    stop = asyncio.Event()
    claims = ClaimTable.create_file()
    keepers = [
        asyncio.create_task(_keep(crew, number, claims, stop))
        for number in range(crew.settings.worker.processes)
    ]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*keepers)
        os.close(claims)


async def _keep(crew: Crew, number: int, claims: int, stop: asyncio.Event) -> None:
    """Keep worker `number` alive until told to stop, then end it."""
    backoff = Backoff()
    while not stop.is_set():
        backoff.started()
        try:
            process = await _start(crew, number, claims, stop)
        except (OSError, HoldfastError) as error:
            _LOG.info("worker %d cannot be started: %s", number, error)
        else:
            if await _ended_before(process, stop):
                _LOG.info("worker %d ended %s; it is started again", number, ending(process.returncode or 0))
            else:
                await end_child(process, patience_s=crew.settings.worker.graceful_shutdown_s + _AFTER_GRACE_S)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), backoff.pause_s())


async def _ended_before(process: Process, stop: asyncio.Event) -> bool:
    """Wait for the first of the two; whether it was the process's end."""
    ended, stopped = asyncio.create_task(process.wait()), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([ended, stopped], return_when=asyncio.FIRST_COMPLETED)
    finally:
        ended.cancel()
        stopped.cancel()
    return not stop.is_set()


async def _start(crew: Crew, number: int, claims: int, stop: asyncio.Event) -> Process:
    """Start a worker, and tell it what to do as soon as that is known; nothing, when told to stop before."""
    reading, writing = os.pipe()
    try:
        with _log(crew, number) as log:
            process = await start_child(
                [sys.executable, str(_WORKER), "--config-fd", str(reading)],
                environment={**child_environment(crew.environ), **_MALLOC},
                log=log,
                descriptors=(reading, claims),
            )
    except BaseException:
        os.close(writing)
        raise
    finally:
        os.close(reading)
    stopping = asyncio.create_task(stop.wait())
    crew.place.add_done_callback(lambda _: stopping.cancel())
    with contextlib.suppress(asyncio.CancelledError):
        await stopping
    if not crew.place.done() or crew.place.cancelled():
        os.close(writing)
        return process
    # A thread: a pipe takes 64 KiB at once, and the worker has Python to load before it reads.
    await asyncio.to_thread(_hand_over, writing, crew.config(number, crew.place.result(), claims).to_json())
    return process


def _hand_over(descriptor: int, document: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), open(descriptor, "wb") as pipe:
        pipe.write(document)


def _log(crew: Crew, number: int) -> contextlib.AbstractContextManager[IO[bytes] | None]:
    if crew.to_stderr:
        return contextlib.nullcontext()
    return open_log(crew.settings.state_dir, f"worker-{number}")


def _passwords_of_variables(settings: Settings, environ: Mapping[str, str]) -> dict[str, bytes]:
    """Those that profiles name a variable for: read here, so that no child has it in its environment."""
    places = {profile.location: profile.password for profile in settings.repositories.values()}
    if settings.journal.url is not None:
        places[settings.journal.url] = settings.journal.password
    places[ENCRYPTION_KEYS] = settings.server.encryption
    return {
        location: os.fsencode(environ[source.env])
        for location, source in places.items()
        if source and source.env and environ.get(source.env)
    }
