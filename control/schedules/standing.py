"""How schedules stand that do not run as they should: paused, or with a run that waits."""

from typing import Final

from temporalio.client import Client, ScheduleActionExecutionStartWorkflow, ScheduleDescription
from temporalio.service import RPCError

from activities.waiting import waiting_reason
from control.schedules.declaration import PREFIX
from control.schedules.server import RPC_TIMEOUT

_PAUSED: Final = "is paused"


async def paused_schedules(client: Client, host: str) -> list[str]:
    """`NAME is paused: NOTE` for each of this host's schedules that is."""
    prefix = f"{PREFIX}.{host}."
    found: list[str] = []
    async for listed in await client.list_schedules():
        state = None if listed.schedule is None else listed.schedule.state
        if listed.id.startswith(prefix) and state is not None and state.paused:
            found.append(f"{listed.id.removeprefix(prefix)} {_PAUSED}: {state.note or ''}".rstrip(": "))
    return sorted(found)


async def waits_for(client: Client, description: ScheduleDescription) -> str:
    """Why the run that a schedule has under way does not go on; empty when it does, or there is none."""
    for action in description.info.running_actions:
        if not isinstance(action, ScheduleActionExecutionStartWorkflow):
            continue
        try:
            scheduled = await client.get_workflow_handle(action.workflow_id).describe(rpc_timeout=RPC_TIMEOUT)
            for child in scheduled.raw_description.pending_children:
                reason = await waiting_reason(client, child.workflow_id, child.workflow_type_name)
                if reason:
                    return reason
        except RPCError:
            continue
    return ""
