"""The supervisor keeps N worker processes alive while a context lasts, and ends them gracefully after it.

All are started at once (launch.py). One that dies is started again, after a second at first and more slowly when it
keeps dying.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from holdfast.contracts.worker import ENCRYPTION_KEYS, SIGNING_KEYS, WorkerConfig
from holdfast.errors import HoldfastError
from holdfast.service.settings.credentials import variables_for
from holdfast.service.settings.model import Settings
from holdfast.starter.host.children import Child
from holdfast.starter.host.launch import Forks, Launch, Memory, Recruit
from holdfast.starter.host.processes import Backoff, end_child, ending

_AFTER_GRACE_S: Final = 15.0
"""More than a worker allows itself after the grace of its activities (worker.py)."""
_LOG: Final = logging.getLogger("holdfast.supervisor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where workers work: the server's address, and passwords of repositories that are open already, by location."""

    address: str
    passwords: Mapping[str, bytes] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """The worker processes of one supervisor have this in common.

    place: may become known when they have been started already, which saves the time that they need to load.
    passwords: by repository location. to_stderr: they log there, and not into files of the state directory.
    """

    settings: Settings
    place: "asyncio.Future[Place]"
    queues: tuple[str, ...]
    environ: Mapping[str, str] = field(repr=False)
    passwords: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    to_stderr: bool = False

    def config(self, number: int, place: Place, memory: Memory | None = None) -> WorkerConfig:
        """The configuration that worker `number` is told. memory: what it shares with the others, if it does."""
        shared = memory or Memory(claims=-1, keys=-1, index=-1)
        return WorkerConfig(
            address=place.address,
            namespace=self.settings.server.namespace,
            settings=str(self.settings.path or ""),
            state_dir=str(self.settings.state_dir),
            cache_dir=str(self.settings.cache.directory or ""),
            queues=self.queues,
            process=number,
            supervisor_pid=os.getpid(),
            claims_fd=shared.claims,
            keys_fd=shared.keys,
            index_fd=shared.index,
            passwords={
                **_passwords_of_variables(self.settings, self.environ),
                **self.passwords,
                **place.passwords,
            },
            variables=variables_for(self.settings.repositories.values(), self.environ),
        )


def longest_end_s(settings: Settings) -> float:
    """How long workers may take to end once they are told to; then they are made to."""
    return settings.worker.graceful_shutdown_s + _AFTER_GRACE_S


def at(address: str) -> "asyncio.Future[Place]":
    """A place that is known from the beginning."""
    place: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
    place.set_result(Place(address=address))
    return place


@contextlib.asynccontextmanager
async def running_workers(
    crew: Crew, memory: Memory | None = None, forked: Forks | None = None
) -> AsyncIterator[None]:
    """Worker processes, while the context lasts. Enter this in the main thread (see processes.py).

    memory: what they share, which is closed at the end. forked: all of them, when they have been forked already.
    """
    watch = _Watch(crew, memory or Memory.create())
    numbers = range(crew.settings.worker.processes)
    first = asyncio.create_task(watch.start(numbers, forked))
    keepers = [asyncio.create_task(watch.keep(number, first)) for number in numbers]
    try:
        yield
    finally:
        watch.stop.set()
        await asyncio.gather(*keepers)
        watch.memory.close()


class _Watch:
    """Over the workers of one crew, until `stop`."""

    def __init__(self, crew: Crew, memory: Memory) -> None:
        self.stop = asyncio.Event()
        self.memory = memory
        self._crew = crew

    async def keep(self, number: int, first: "asyncio.Task[Mapping[int, Recruit]]") -> None:
        """Keep worker `number` alive until told to stop, then end it. first: the start of all of them together."""
        backoff = Backoff()
        starting = first
        while True:
            backoff.started()
            try:
                recruit = (await asyncio.shield(starting))[number]
            except (OSError, HoldfastError) as error:
                if not self.stop.is_set():
                    _LOG.info("worker %d cannot be started: %s", number, error)
            else:
                await self._tell(number, recruit)
                await self._see_end(number, recruit.child)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stop.wait(), backoff.pause_s())
                return
            starting = asyncio.create_task(self.start((number,)))

    async def start(self, numbers: Sequence[int], forked: Forks | None = None) -> Mapping[int, Recruit]:
        """Workers that have been loaded, by number. forked: these, when they have been.

        Raises:
            OSError: they cannot be started, or are no longer needed.
            StorageDeniedError, StorageFullError: the state directory cannot be written.
        """
        if forked is not None:
            return dict(zip(numbers, forked.take(), strict=True))
        launch = Launch(
            self._crew.settings,
            self._crew.environ,
            numbers=numbers,
            memory=self.memory,
            to_stderr=self._crew.to_stderr,
        )
        arriving = asyncio.create_task(launch.arrivals())
        if await self._stopped_before(arriving):
            launch.abandon()
        return dict(zip(numbers, await arriving, strict=True))

    async def _tell(self, number: int, recruit: Recruit) -> None:
        """Tell a worker what to do as soon as that is known; nothing, when told to stop before."""
        if await self._stopped_before(self._crew.place):
            recruit.dismiss()
        else:
            await recruit.tell(self._crew.config(number, self._crew.place.result(), self.memory).to_json())

    async def _see_end(self, number: int, child: Child) -> None:
        """Wait for a worker's end, or for the order to end it."""
        if await self._stopped_before(asyncio.create_task(child.wait())):
            await end_child(child, patience_s=longest_end_s(self._crew.settings))
        else:
            _LOG.info("worker %d ended %s; it is started again", number, ending(await child.wait()))

    async def _stopped_before(self, awaited: "asyncio.Future[Any]") -> bool:
        """Wait for the first of the two; whether it was the order to stop."""
        stopping = asyncio.create_task(self.stop.wait())
        await asyncio.wait([awaited, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        return self.stop.is_set()


def _passwords_of_variables(settings: Settings, environ: Mapping[str, str]) -> dict[str, bytes]:
    """Those that profiles name a variable for: read here, so that no child has it in its environment."""
    places = {profile.location: profile.password for profile in settings.repositories.values()}
    if settings.journal.url is not None:
        places[settings.journal.url] = settings.journal.password
    places[ENCRYPTION_KEYS] = settings.server.encryption
    places[SIGNING_KEYS] = settings.server.signing
    return {
        location: os.fsencode(environ[source.env])
        for location, source in places.items()
        if source and source.env and environ.get(source.env)
    }
