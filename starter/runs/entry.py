"""A command enters here to carry out one order: workers are forked first, and what needs threads comes then."""

import asyncio
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from holdfast.contracts.verbs import Request
from holdfast.control.requests import run_policy, workflow_id_of
from holdfast.service.settings.model import RepositoryProfile
from holdfast.starter.host.early_start import EarlyStart
from holdfast.starter.runs.order import Order, need_of
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.person import triggered


def ask(
    invocation: Invocation,
    request: Request,
    repository: RepositoryProfile | None = None,
    begun: EarlyStart | None = None,
    *,
    fresh: bool = False,
    detach: bool = False,
    list_files: bool = False,
    beside: AbstractContextManager[object] | None = None,
) -> int:
    """Ask for a run in this person's name, as hard as the settings say; the exit code. The rest is as in `Order`.

    Raises:
        HoldfastError: as `run`.
    """
    settings = invocation.settings
    request = replace(request, trigger=triggered(), policy=run_policy(settings))
    order = Order(
        request=request,
        repository=repository,
        workflow_id=workflow_id_of(settings, request),
        fresh=fresh,
        detach=detach,
        list_files=list_files,
        beside=beside or nullcontext(),
    )
    return run(invocation, order, begun)


def run(invocation: Invocation, order: Order, begun: EarlyStart | None = None) -> int:
    """Carry the order out; the exit code. begun: what was begun before the order was made.

    Raises:
        HoldfastError: whatever stands in its way, or ended the run.
    """
    need = need_of(invocation, order)
    if begun is not None:
        begun.fork_workers(_load)
    from holdfast.starter.runs.carry_out import carry_out  # noqa: PLC0415 - Temporal's client, while the server starts

    return asyncio.run(carry_out(invocation, order, need, begun))


def _load() -> None:
    """Load what workers need, which includes Temporal's client, and what this process needs of it."""
    import holdfast.starter.host.worker_process  # noqa: PLC0415 - this is the moment
    import holdfast.starter.runs.carry_out  # noqa: F401, PLC0415 - as above
