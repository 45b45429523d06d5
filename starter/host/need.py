"""What a command needs of the service, and what it gets: a client of the server, with workers behind it.

Cheap to import: Temporal's client, which takes a third of a second to load, comes with the first `open_service`.
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from service.settings.model import ServerSettings, Settings

if TYPE_CHECKING:
    from temporalio.client import Client

    from holdfast.repository.repository import Repository
    from starter.host.early_start import Ahead


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a command needs of the service.

    queue: the base task queue that must be polled; empty when the server alone is enough. passwords: by repository
    location, for workers that the command starts itself. openings: how to read the passwords of those repositories
    that the command opens for them, by location. ahead: what of all this has been begun. aside: with workers of the
    command's own even where a service is up, because all that is wanted is to read, without a lock.
    """

    queue: str = ""
    passwords: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    openings: Mapping[str, Callable[[], bytes]] = field(default_factory=dict, repr=False)
    ahead: "Ahead | None" = None
    aside: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What a command got.

    ui_url: base URL of the Web UI, without a "/" at its end; None when there is none. owned: workers (and perhaps the
    server) end with this command. opener: opens a repository by its location, with the key that was derived for workers
    of this command's own; None where they are not.
    """

    client: "Client"
    ui_url: str | None
    owned: bool
    opener: "Callable[[str], Repository] | None" = None

    def run_url(self, workflow_id: str, run_id: str = "") -> str | None:
        """Where the Web UI shows a workflow; without a run id, its newest run."""
        if self.ui_url is None:
            return None
        url = f"{self.ui_url}/namespaces/{quote(self.client.namespace, safe='')}/workflows/"
        url += quote(workflow_id, safe="")
        return f"{url}/{quote(run_id, safe='')}/history" if run_id else url


def open_door(server: ServerSettings) -> str | None:
    """A warning for whoever is about to run workers on a server that lets everybody in; None where one is safe."""
    if server.accept_unsigned:
        return (
            "server.accept_unsigned: what bears no signature is believed, whoever sent it; "
            "remove it once no run from before is open"
        )
    protected = server.encryption or server.signing or server.own_key
    if protected or server.has_door:
        return None
    return (
        f"whoever reaches the server at {server.address} can ask anything of the workers of this host: add [signing] "
        "with a key that all hosts share, or have the server ask for client certificates or API keys "
        "(docs/deployment.md)"
    )


@contextlib.asynccontextmanager
async def open_service(settings: Settings, need: Need, environ: Mapping[str, str]) -> AsyncIterator[Service]:
    """The service, for as long as the context lasts: the one that runs, or one of the command's own.

    Enter this in the main thread: what it starts ends with the thread that started it.

    Raises:
        ServerUnavailableError: no server answers, or none can be started.
        PasswordMissingError: the service that runs was not given the password of this repository.
        StorageDeniedError, StorageFullError: the state directory cannot be written.
        SettingsError: a file of the server's encryption cannot be read.
    """
    from starter.host.muster import hosted  # noqa: PLC0415 (see the module's docstring)

    async with hosted(settings, need, environ) as service:
        yield service
