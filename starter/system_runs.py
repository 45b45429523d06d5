"""Carries a backup or a recovery of a system from its request to its report."""

import sys
from dataclasses import dataclass

from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from contracts.system import (
    SYSTEM_BACKUP_WORKFLOW,
    SYSTEM_RESTORE_WORKFLOW,
    SystemRequest,
    SystemRestoreRequest,
    SystemResult,
)
from holdfast.errors import EXIT_COMPLETE, UsageError
from holdfast.journal.records import RunKind
from starter import orders, runs
from starter.display import Display, display_for
from starter.follow import Following, Interrupts
from starter.invocation import Invocation
from starter.output import say, say_json
from starter.reports import Report
from starter.service import Need, Service, base_queue, open_service


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
        return orders.system_id(self.kind, host, self.request.system)


async def carry_out(invocation: Invocation, order: SystemOrder) -> int:
    """Run the order to its end; the exit code.

    Raises:
        HoldfastError: whatever stands in its way, or ended the run.
    """
    settings = invocation.settings
    need = Need(queue=base_queue(settings, ""))
    async with open_service(settings, need, invocation.environ) as service:
        result = await _served(invocation, order, service, need.queue)
    if result is None:
        return EXIT_COMPLETE
    options = invocation.options
    return Report(settings, as_json=options.json, quiet=options.quiet).tell(result)


async def _served(
    invocation: Invocation, order: SystemOrder, service: Service, queue: str
) -> runs.Result | None:
    if order.detach and service.owned:
        raise UsageError(
            "no service is up that could go on with the run",
            hint="Start `holdfast up` (or leave out --detach).",
        )
    options = invocation.options
    display = display_for(order.kind, as_json=options.json, quiet=options.quiet, terminal=sys.stdout.isatty())
    try:
        with runs.server_errors(), Interrupts() as interrupts:
            handle = await _begin(service, invocation.settings.host, order, queue, display)
            url = service.run_url(handle.id)
            if order.detach:
                _tell_detached(invocation, handle.id, url)
                return None
            if url is not None:
                display.link(url)
            following = Following(
                service.client, handle, display, interrupts, service_stays=not service.owned
            )
            return await following.to_the_end()
    finally:
        display.close()


async def _begin(
    service: Service, host: str, order: SystemOrder, queue: str, display: Display
) -> runs.Handle:
    workflow_id = order.workflow_id(host)
    if await runs.is_open(service.client, workflow_id):
        display.note("a run of this system is already under way; following it")
        return runs.handle_of(service.client, order.kind, workflow_id)
    is_restore = order.kind is RunKind.SYSTEM_RESTORE
    return await service.client.start_workflow(
        SYSTEM_RESTORE_WORKFLOW if is_restore else SYSTEM_BACKUP_WORKFLOW,
        order.request,
        id=workflow_id,
        task_queue=queue,
        result_type=SystemResult,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        static_summary=f"{order.kind.value} of {order.request.system}",
    )


def _tell_detached(invocation: Invocation, workflow_id: str, url: str | None) -> None:
    if invocation.options.json:
        say_json({"message_type": "started", "workflow_id": workflow_id, "url": url})
        return
    say(f"the run is under way: `holdfast status` shows it{'' if url is None else f', and {url}'}")
