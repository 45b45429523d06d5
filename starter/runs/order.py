"""An order names one run that a command is to carry out, and what that needs of the service.

Cheap to import: a command makes its order while the server starts, and before it loads what carries it out.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from holdfast.contracts.verbs import Request
from holdfast.control.repositories import is_only_read
from holdfast.control.requests import queue_of_run
from holdfast.service.settings.credentials import open_place
from holdfast.service.settings.model import RepositoryProfile
from holdfast.starter.host.service import Need
from holdfast.starter.host.unlocker import Opening
from holdfast.starter.shell.invocation import Invocation


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A run that is wanted. workflow_id: the same for the same subject.

    repository: where the run goes to or comes from; None for a system, whose members have their own. fresh: do not go
    on with an interrupted run. detach: return once it is started. list_files: report each path. lift_pause: a run that
    is under way and paused is to go on. beside: what this process does for the run while it lasts, with threads.
    """

    request: Request
    workflow_id: str
    repository: RepositoryProfile | None = None
    fresh: bool = False
    detach: bool = False
    list_files: bool = False
    lift_pause: bool = False
    beside: AbstractContextManager[object] = field(default_factory=nullcontext)


def need_of(invocation: Invocation, order: Order) -> Need:
    """The order's need of the service. A person is asked here for a password that nothing else gives.

    Raises:
        PasswordMissingError, UsageError: there is no password.
    """
    repository = order.repository
    queue = queue_of_run(invocation.settings, order.request)
    if repository is None:
        return Need(queue=queue)
    passwords = invocation.worker_passwords(repository)
    location = repository.location
    return Need(
        queue=queue,
        passwords=passwords,
        openings={
            location: Opening(
                password=lambda: passwords.get(location) or invocation.password(repository),
                storage=lambda: open_place(repository, invocation.environ, invocation.settings.state_dir),
            )
        },
        aside=is_only_read(repository),
    )
