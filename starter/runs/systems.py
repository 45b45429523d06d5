"""Carries a backup or a recovery of a system from its request to its report."""

from dataclasses import dataclass

from contracts import identity
from contracts.system import (
    SystemRequest,
    SystemRestoreRequest,
    SystemResult,
)
from control import runs, start
from control.requests import base_queue
from holdfast.errors import EXIT_COMPLETE
from holdfast.terms import RunKind
from starter.host.need import Need, Service, open_service
from starter.runs.attendance import attend
from starter.runs.witness import check_members
from starter.shell.invocation import Invocation
from starter.view.display import Display
from starter.view.reports import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemOrder:
    """A run of a system that is wanted. detach: return once it is started."""

    request: SystemRequest
    detach: bool = False

    @property
    def kind(self) -> RunKind:
        """Which verb it is of."""
        is_restore = isinstance(self.request, SystemRestoreRequest)
        return RunKind.SYSTEM_RESTORE if is_restore else RunKind.SYSTEM_BACKUP

    def workflow_id(self, host: str) -> str:
        """The same each time, so that a system is backed up by one run at a time."""
        return identity.system_id(self.kind, host, self.request.system)


async def carry_out(invocation: Invocation, order: SystemOrder) -> int:
    """Run the order to its end; the exit code.

    Raises:
        HoldfastError: whatever stands in its way, or ended the run.
    """
    settings = invocation.settings
    need = Need(queue=base_queue(settings, ""))
    async with open_service(settings, need, invocation.environ) as service:

        async def begin(display: Display) -> runs.Handle:
            return await _begin(service, invocation, order, display)

        result = await attend(invocation, service, order.kind, begin, detach=order.detach)
    if result is None:
        return EXIT_COMPLETE
    if isinstance(result, SystemResult):
        await check_members(settings, result)
    options = invocation.options
    return Report(settings, as_json=options.json, quiet=options.quiet).tell(result)


async def _begin(
    service: Service, invocation: Invocation, order: SystemOrder, display: Display
) -> runs.Handle:
    settings = invocation.settings
    workflow_id = order.workflow_id(settings.host)
    begun = await start.begin(service.client, settings, invocation.environ, order.request, workflow_id)
    if begun.joined:
        display.note("a run of this system is already under way; following it")
    return begun.handle
