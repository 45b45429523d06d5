"""How a command comes by a server and workers: those that run, or its own for as long as it lasts.

Whether workers are there is known from the notes of this host's services, not from the server: it lists the pollers
of the last minutes, dead or alive, and those of other commands, which end when they please.

Cheap to import: workers and server load while this process loads Temporal's client and derives keys.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from control.requests import base_queue
from holdfast.errors import PasswordMissingError, ServerUnavailableError, UsageError
from holdfast.repository.repository import Repository
from holdfast.repository.shared_keys import SharedKeys
from holdfast.repository.sharing import config_hash, open_sharing
from holdfast.storage.locations import open_storage
from service.settings.model import Settings
from starter.host.launch import Memory
from starter.host.need import Need, Service, open_door
from starter.host.ownership import running_services
from starter.host.supervisor import Crew, Place, running_workers
from starter.host.temporal_server import EmbeddedServer
from starter.host.unlocker import Unlocking, unlock
from starter.shell.output import warn

if TYPE_CHECKING:
    from temporalio.client import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A server that answers. hire: nobody serves the queue that is needed."""

    client: "Client"
    address: str
    ui_url: str | None
    owned: bool
    hire: bool


@contextlib.asynccontextmanager
async def hosted(settings: Settings, need: Need, environ: Mapping[str, str]) -> AsyncIterator[Service]:
    """`open_service`, of starter/host/need.py."""
    async with contextlib.AsyncExitStack() as stack:
        hiring = _Hiring(settings, need, environ, stack)
        if settings.server.address is None:
            place = await _embedded(settings, need, environ, stack, hiring)
        else:
            place = await _configured(settings, need, settings.server.address, hiring)
        await prepare(place.client, place.address)
        await hiring.tell(place.address)
        owned = place.owned or place.hire
        yield Service(client=place.client, ui_url=place.ui_url, owned=owned, opener=hiring.opener)


class _Hiring:
    """Workers of this command's own. They are started first and told where to work when that is known: meanwhile they
    load their libraries, and the keys of their repositories are derived, once for all of them."""

    def __init__(
        self, settings: Settings, need: Need, environ: Mapping[str, str], stack: contextlib.AsyncExitStack
    ) -> None:
        self._crew = Crew(
            settings=settings,
            place=asyncio.get_running_loop().create_future(),
            queues=(need.queue,),
            environ=environ,
            passwords=need.passwords,
        )
        self._need = need
        self._stack = stack
        self._memory: Memory | None = None
        self._passwords: Mapping[str, bytes] = {}
        self._apart: Unlocking | None = None
        self._here: asyncio.Task[dict[str, bytes]] | None = None

    async def begin(self) -> None:
        """Start them, unless that has been done ahead."""
        warning = open_door(self._crew.settings.server)
        if warning is not None:
            warn(f"warning: {warning}")
        mustered = None if self._need.ahead is None else self._need.ahead.take()
        memory = self._memory = Memory.create() if mustered is None else mustered.memory
        self._apart = None if mustered is None else mustered.unlocking
        if self._apart is None:
            self._here = asyncio.create_task(unlock(self._need.openings, memory.keys))
        begun = None if mustered is None else mustered.workers
        await self._stack.enter_async_context(running_workers(self._crew, memory, begun))

    async def tell(self, address: str) -> None:
        """Tell those that were started where to work, and wait until they can open their repositories.

        Raises:
            WrongPasswordError and the like: a repository cannot be opened; so they need not try.
        """
        if self._apart is not None:
            self._passwords = await self._apart.passwords()
            self._crew.place.set_result(Place(address=address, passwords=self._passwords))
            await self._apart.done()
        elif self._here is not None:
            self._passwords = await self._here
            self._crew.place.set_result(Place(address=address, passwords=self._passwords))

    @property
    def opener(self) -> Callable[[str], Repository] | None:
        """Opens a repository with the key that was derived for the workers; None where none was."""
        return self._open if self._passwords else None

    def _open(self, location: str) -> Repository:
        if self._memory is None:
            raise RuntimeError("no workers were started")
        storage = open_storage(location)
        keys = SharedKeys(self._memory.keys)
        return open_sharing(storage, self._passwords[location], config_hash(storage), keys)


async def _configured(settings: Settings, need: Need, address: str, hiring: _Hiring) -> _Place:
    from starter.host.connection import connect, is_served_elsewhere  # noqa: PLC0415 (see the module's docstring)

    client = await connect(settings.server, address)
    hire = bool(need.queue) and not _is_served(settings, need.queue)
    if hire:
        hire = not await is_served_elsewhere(client, need.queue)
    if hire:
        await hiring.begin()
    return _Place(client=client, address=address, ui_url=settings.server.ui_url, owned=False, hire=hire)


async def _embedded(
    settings: Settings,
    need: Need,
    environ: Mapping[str, str],
    stack: contextlib.AsyncExitStack,
    hiring: _Hiring,
) -> _Place:
    """The server, which goes on as long as this command needs it to, whoever owns it now."""
    hire = bool(need.queue) and not _is_served(settings, need.queue)
    server = EmbeddedServer(settings, environ) if need.ahead is None else need.ahead.server
    stack.push_async_callback(server.stop)
    if hire:
        _refuse_if_service_is_up(settings, need)
        await hiring.begin()
    client = await server.join()
    owned = server.owned
    if owned and server.has_forgotten:
        from starter.daemon.reconciliation import end_what_is_over  # noqa: PLC0415 (see the module's docstring)

        await end_what_is_over(client, settings)
    if hire or owned:
        await stack.enter_async_context(kept(server))
    return _Place(client=client, address=server.address, ui_url=server.ui_url, owned=owned, hire=hire)


@contextlib.asynccontextmanager
async def kept(server: EmbeddedServer) -> AsyncIterator[None]:
    """Have the server started again whenever it, or who owned it, ends; while the context lasts."""
    guardian = asyncio.create_task(server.keep())
    try:
        yield
    finally:
        guardian.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await guardian


async def prepare(client: "Client", address: str) -> None:
    """Create what workflows rely on.

    Raises:
        ServerUnavailableError: the server does not let us.
    """
    from temporalio.service import RPCError  # noqa: PLC0415 (see the module's docstring)

    from workflows.attributes import ALL_KEYS  # noqa: PLC0415
    from workflows.registration import ensure_search_attributes  # noqa: PLC0415

    try:
        await ensure_search_attributes(client)
    except (RPCError, TimeoutError) as error:
        raise ServerUnavailableError(
            f"the server at {address} does not take our search attributes: {error}",
            hint=f"Create them there, of type Keyword: {', '.join(key.name for key in ALL_KEYS)}.",
        ) from error


def _is_served(settings: Settings, queue: str) -> bool:
    return any(queue in note.queues for note in running_services(settings.state_dir))


def _refuse_if_service_is_up(settings: Settings, need: Need) -> None:
    """A repository that was given by its location is the service's business when there is one, unless it is read
    without a lock.

    Raises:
        PasswordMissingError: there is one, and it was not given that repository's password.
        UsageError: there is one, and the repository stands in the settings, with other options or by its name.
    """
    pids = [note.pid for note in running_services(settings.state_dir) if note.up]
    if not pids or need.aside or need.queue == base_queue(settings, ""):
        return
    if not need.passwords:
        raise UsageError(
            f"this command wants of its repository what the settings do not say (a compression, say), and the running "
            f"service (process {pids[0]}) does as they say",
            hint="Write it into the repository's table of the settings, leave it out, or stop the service meanwhile.",
        )
    location = next(iter(need.passwords))
    known = next((name for name, known in settings.repositories.items() if known.location == location), "")
    if known:
        raise UsageError(
            f"the running service (process {pids[0]}) knows {location} by its name in the settings",
            hint=f"Give --repo {known}, without a password, or stop the service meanwhile.",
        )
    raise PasswordMissingError(
        f"the running service (process {pids[0]}) was not given the password of {location}",
        hint=f"Stop it, or start it again with `holdfast up --repo {location} --password-file FILE`.",
    )
