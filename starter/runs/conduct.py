"""Carries one run from its request to its report: a service, a start or an earlier run that goes on, the end.

Cheap to import. What a command has to wait for, the server and the workers, is started first; Temporal's client, which
takes a third of a second to load, and what builds on it come meanwhile.
"""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contracts.verbs import Request
from control.known_paths import KnownPaths
from control.repositories import is_only_read
from control.requests import base_queue, repository_of
from holdfast.errors import EXIT_COMPLETE, EndedOutsideError, UntrustedError
from service.settings.model import RepositoryProfile
from starter.host.need import Need, open_service
from starter.shell.invocation import Invocation

if TYPE_CHECKING:
    from temporalio.client import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A run that is wanted. repository: where it goes to or comes from. workflow_id: the same for the same subject.

    fresh: do not go on with an interrupted run. detach: return once it is started. list_files: report each path.
    lift_pause: a run that is under way and paused is to go on.
    """

    request: Request
    repository: RepositoryProfile
    workflow_id: str
    fresh: bool = False
    detach: bool = False
    list_files: bool = False
    lift_pause: bool = False


def run(invocation: Invocation, order: Order) -> int:
    """Run the order to its end; the exit code.

    Raises:
        HoldfastError: whatever stands in its way, or ended the run.
    """
    need = _need(invocation, order)
    if invocation.ahead is not None:
        invocation.ahead.muster(need.openings)
    return asyncio.run(_carry_out(invocation, order, need))


async def carry_out(invocation: Invocation, order: Order) -> int:
    """The same in a loop that runs already.

    Raises:
        HoldfastError: whatever stands in its way, or ended the run.
    """
    return await _carry_out(invocation, order, _need(invocation, order))


def _need(invocation: Invocation, order: Order) -> Need:
    passwords = invocation.worker_passwords(order.repository)
    location = order.repository.location
    return Need(
        queue=base_queue(invocation.settings, repository_of(order.request)),
        passwords=passwords,
        openings={location: lambda: passwords.get(location) or invocation.password(order.repository)},
        ahead=invocation.ahead,
        aside=is_only_read(order.repository),
    )


async def _carry_out(invocation: Invocation, order: Order, need: Need) -> int:
    settings = invocation.settings
    known = KnownPaths.of(settings, order.request, order.repository.location)
    async with open_service(settings, need, invocation.environ) as service:
        from starter.runs import served  # noqa: PLC0415 (see the module's docstring)
        from starter.runs.witness import UnprovenError, check_word  # noqa: PLC0415 (as above)

        try:
            result = await served.served(invocation, order, service, known)
            if result is not None:
                location = order.repository.location
                await check_word(settings, order.request, order.workflow_id, location, result, service.opener)
        except (EndedOutsideError, UnprovenError, UntrustedError) as error:
            from starter.runs.outside_ends import tell_outside_end  # noqa: PLC0415 (it brings SQLAlchemy: 0.1 s for a rare case)

            await asyncio.to_thread(tell_outside_end, invocation, order.workflow_id, error.message)
            raise
    return EXIT_COMPLETE if result is None else served.tell(invocation, order, result)


async def find_client(invocation: Invocation) -> "Client | None":
    """A client of the server that is there; None when the embedded one is not running.

    Raises:
        ServerUnavailableError: a server is configured and does not answer.
    """
    from starter.host.connection import connect  # noqa: PLC0415 (see the module's docstring)
    from starter.host.temporal_server import EmbeddedServer  # noqa: PLC0415

    address = invocation.settings.server.address
    if address is not None:
        return await connect(invocation.settings.server, address)
    return await EmbeddedServer(invocation.settings, invocation.environ).find()
