"""A command uses the service that runs, server and workers, or has its own for as long as it lasts.

Whether workers are there is known from the notes of this host's services, not from the server: it lists the pollers
of the last minutes, dead or alive, and those of other commands, which end when they please.

Cheap to import: Temporal's client, which takes a third of a second to load, comes with the first `open_service`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from holdfast.control.requests import base_queue
from holdfast.errors import PasswordMissingError, ServerUnavailableError, UsageError
from holdfast.repository.repository import Repository
from holdfast.service.settings.model import ServerSettings, Settings
from holdfast.starter.host.early_start import EarlyStart
from holdfast.starter.host.launch import Memory
from holdfast.starter.host.ownership import running_services
from holdfast.starter.host.supervisor import Crew, Place, running_workers
from holdfast.starter.host.temporal_server import EmbeddedServer
from holdfast.starter.host.unlocker import Openings, Unlocked, derive_keys, read_passwords
from holdfast.starter.shell.output import warn

if TYPE_CHECKING:
    from temporalio.client import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A command needs this of the service.

    queue: the base task queue that must be polled; empty when the server alone is enough. passwords: by repository
    location, for workers that the command starts itself. openings: how those repositories are opened
    that the command opens for them, by location. aside: with workers of the command's own even where a service is up,
    because all that is wanted is to read, without a lock.
    """

    queue: str = ""
    passwords: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    openings: Openings = field(default_factory=dict, repr=False)
    aside: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A command got this.

    ui_url: base URL of the Web UI, without a "/" at its end; None when there is none. owned: workers (and perhaps the
    server) end with this command. opener: opens a repository by its location, with the key that was derived for workers
    of this command's own; None where they are not.
    """

    client: "Client"
    ui_url: str | None
    owned: bool
    opener: Callable[[str], Repository] | None = None

    def run_url(self, workflow_id: str, run_id: str = "") -> str | None:
        """Where the Web UI shows a workflow; without a run id, its newest run."""
        if self.ui_url is None:
            return None
        url = f"{self.ui_url}/namespaces/{quote(self.client.namespace, safe='')}/workflows/"
        url += quote(workflow_id, safe="")
        return f"{url}/{quote(run_id, safe='')}/history" if run_id else url


@contextlib.asynccontextmanager
async def open_service(
    settings: Settings, need: Need, environ: Mapping[str, str], ahead: EarlyStart | None = None
) -> AsyncIterator[Service]:
    """The service, for as long as the context lasts: the one that runs, or one of the command's own.

    Enter this in the main thread: what it starts ends with the thread that started it. ahead: what has been begun.

    Raises:
        ServerUnavailableError: no server answers, or none can be started.
        PasswordMissingError: the service that runs was not given the password of this repository.
        StorageDeniedError, StorageFullError: the state directory cannot be written.
        SettingsError: a file of the server's encryption cannot be read.
    """
    async with contextlib.AsyncExitStack() as stack:
        hiring = _Hiring(settings, need, environ, ahead, stack)
        if settings.server.address is None:
            service, address = await _embedded(settings, need, environ, ahead, stack, hiring)
        else:
            address = settings.server.address
            service = await _configured(settings, need, address, hiring)
        await prepare(service.client, address)
        yield replace(service, opener=await hiring.tell(address))


class _Hiring:
    """Workers of this command's own. They are started first and told where to work when that is known: while they wait,
    the keys of their repositories are derived, once for all of them."""

    def __init__(
        self,
        settings: Settings,
        need: Need,
        environ: Mapping[str, str],
        ahead: EarlyStart | None,
        stack: contextlib.AsyncExitStack,
    ) -> None:
        self._crew = Crew(
            settings=settings,
            place=asyncio.get_running_loop().create_future(),
            queues=(need.queue,),
            environ=environ,
            passwords=need.passwords,
        )
        self._need = need
        self._ahead = ahead
        self._stack = stack
        self._passwords: asyncio.Task[dict[str, bytes]] | None = None
        self._unlocked: asyncio.Task[Unlocked] | None = None

    async def begin(self) -> None:
        """Start them, unless that has been done ahead."""
        warning = open_door(self._crew.settings.server)
        if warning is not None:
            warn(f"warning: {warning}")
        begun = None if self._ahead is None else self._ahead.take()
        memory = Memory.create() if begun is None else begun.memory
        self._passwords = asyncio.create_task(asyncio.to_thread(read_passwords, self._need.openings))
        self._unlocked = asyncio.create_task(self._unlock(self._passwords, memory.keys))
        await self._stack.enter_async_context(running_workers(self._crew, memory, begun))

    async def _unlock(self, passwords: "asyncio.Task[dict[str, bytes]]", keys: int) -> Unlocked:
        return await asyncio.to_thread(derive_keys, self._need.openings, await passwords, keys)

    async def tell(self, address: str) -> Callable[[str], Repository] | None:
        """Tell those that were started where to work, and wait until they can open their repositories.

        Returns what opens a repository with the key that was derived for them; None where none was.

        Raises:
            WrongPasswordError and the like: a repository cannot be opened; so they need not try.
        """
        if self._passwords is None or self._unlocked is None:
            return None
        await asyncio.wait((self._passwords,))
        if self._passwords.exception() is None:  # workers connect while the keys are derived
            self._crew.place.set_result(Place(address=address, passwords=self._passwords.result()))
        unlocked = await self._unlocked
        return unlocked.open if unlocked.passwords else None


async def _configured(settings: Settings, need: Need, address: str, hiring: _Hiring) -> Service:
    from holdfast.starter.host.connection import connect, is_served_elsewhere  # noqa: PLC0415 (see the module's docstring)

    client = await connect(settings.server, address)
    hire = bool(need.queue) and not _is_served(settings, need.queue)
    if hire:
        hire = not await is_served_elsewhere(client, need.queue)
    if hire:
        await hiring.begin()
    return Service(client=client, ui_url=settings.server.ui_url, owned=hire)


async def _embedded(
    settings: Settings,
    need: Need,
    environ: Mapping[str, str],
    ahead: EarlyStart | None,
    stack: contextlib.AsyncExitStack,
    hiring: _Hiring,
) -> tuple[Service, str]:
    """The server, which goes on as long as this command needs it to, by whichever owner; and its address."""
    hire = bool(need.queue) and not _is_served(settings, need.queue)
    server = EmbeddedServer(settings, environ) if ahead is None else ahead.server
    stack.push_async_callback(server.stop)
    if hire:
        _refuse_if_service_is_up(settings, need)
        await hiring.begin()
    client = await server.join()
    owned = server.owned
    if owned and server.has_forgotten:
        from holdfast.starter.host.ended_runs import end_what_is_over  # noqa: PLC0415 (see the module's docstring)

        await end_what_is_over(client, settings)
    if hire or owned:
        await stack.enter_async_context(beside(server.keep()))
    return Service(client=client, ui_url=server.ui_url, owned=owned or hire), server.address


async def find_client(settings: Settings, environ: Mapping[str, str]) -> "Client | None":
    """A client of the server that is there; None when the embedded one is not running.

    Raises:
        ServerUnavailableError: a server is configured and does not answer.
    """
    if settings.server.address is not None:
        from holdfast.starter.host.connection import connect  # noqa: PLC0415 (see the module's docstring)

        return await connect(settings.server, settings.server.address)
    return await EmbeddedServer(settings, environ).find()


@contextlib.asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Have this work go on while the context lasts, and end it then."""
    going_on = asyncio.create_task(work)
    try:
        yield
    finally:
        going_on.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await going_on


async def prepare(client: "Client", address: str) -> None:
    """Create what workflows rely on.

    Raises:
        ServerUnavailableError: the server does not let us.
    """
    from temporalio.service import RPCError  # noqa: PLC0415 (see the module's docstring)

    from holdfast.workflows.attributes import ALL_KEYS  # noqa: PLC0415 - as above
    from holdfast.workflows.registration import ensure_search_attributes  # noqa: PLC0415 - as above

    try:
        await ensure_search_attributes(client)
    except (RPCError, TimeoutError) as error:
        raise ServerUnavailableError(
            f"the server at {address} does not take our search attributes: {error}",
            hint=f"Create them there, of type Keyword: {', '.join(key.name for key in ALL_KEYS)}.",
        ) from error


def open_door(server: ServerSettings) -> str | None:
    """A warning before workers run on a server that lets everybody in; None where they are safe."""
    if server.accept_unsigned:
        return (
            "server.accept_unsigned: what bears no signature is believed, from any sender; "
            "remove it once no run from before is open"
        )
    protected = server.encryption or server.signing or server.own_key
    if protected or server.has_door:
        return None
    return (
        f"any client that reaches the server at {server.address} can ask anything of the workers of this host: "
        "add [signing] with a key that all hosts share, or have the server ask for client certificates or API keys "
        "(docs/deployment.md)"
    )


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
