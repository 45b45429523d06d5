"""Lists this host's schedules on the server: when each runs next, and why one does not run as it should."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from temporalio.client import Client, ScheduleActionExecutionStartWorkflow, ScheduleDescription
from temporalio.service import RPCError

from holdfast.activities.waits import wait_of_child
from holdfast.control.schedules import server
from holdfast.control.schedules.declaration import PREFIX, declarations
from holdfast.control.schedules.plan import PlannedStep, plan
from holdfast.errors import UsageError
from holdfast.service.settings.model import Settings
from holdfast.service.settings.suggestions import one_of
from holdfast.service.waits import Wait


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedSchedule:
    """A schedule as it stands. name: what a person calls it, SOURCE.NAME. kind, strategy: what it starts.

    wait: what the run waits for that it has under way; None when it goes on. runs: how often it ran; missed, skipped:
    and did not, because nobody was there, or because the run before was under way.
    """

    id: str
    name: str
    kind: str
    strategy: str
    paused: bool
    note: str
    wait: Wait | None
    next_times: tuple[datetime, ...]
    runs: int
    missed: int
    skipped: int


async def planned(client: Client, settings: Settings) -> list[PlannedStep]:
    """What would make the server's schedules those of the settings.

    Raises:
        As `declarations`; RPCError: the server does not answer.
    """
    declared = declarations(settings)
    return plan(declared, await server.standing(client, settings.host, [wanted.id for wanted in declared]))


async def list_schedules(client: Client, settings: Settings) -> list[ListedSchedule]:
    """This host's schedules, by id.

    Raises:
        As `planned`.
    """
    return [
        await _listed(client, settings.host, name, description)
        for name, description in await _described(client, settings)
    ]


async def find_schedule(client: Client, settings: Settings, given: str) -> str:
    """The id of the schedule that a person means.

    Raises:
        UsageError: the server has no such schedule.
    """
    prefix = _prefix(settings.host)
    for name in (f"{prefix}{given}", given):
        if name.startswith(f"{PREFIX}.") and await server.describe(client, name) is not None:
            return name
    raise no_schedule(given, [name.removeprefix(prefix) for name, _ in await _described(client, settings)])


def no_schedule(given: str, known: Sequence[str]) -> UsageError:
    """The error of one who means a schedule that the server has not. known: those that it has."""
    hint = (
        one_of(given, known, "schedules")
        if known
        else "`holdfast schedule apply` creates those of the settings."
    )
    return UsageError(f"the server has no schedule {given!r}", hint=hint)


async def _described(client: Client, settings: Settings) -> list[tuple[str, ScheduleDescription]]:
    declared = [wanted.id for wanted in declarations(settings)]
    found = []
    for schedule in await server.standing(client, settings.host, declared):
        description = await server.describe(client, schedule.id)
        if description is not None:
            found.append((schedule.id, description))
    return found


async def _listed(client: Client, host: str, name: str, description: ScheduleDescription) -> ListedSchedule:
    info, state = description.info, description.schedule.state
    entry = await server.entry_of(client, description) or {}
    return ListedSchedule(
        id=name,
        name=name.removeprefix(_prefix(host)),
        kind=str(entry.get("kind", "")),
        strategy=str(entry.get("strategy", "")),
        paused=state.paused,
        note=state.note or "",
        wait=await _wait(client, description),
        next_times=tuple(info.next_action_times),
        runs=info.num_actions,
        missed=info.num_actions_missed_catchup_window,
        skipped=info.num_actions_skipped_overlap,
    )


async def _wait(client: Client, description: ScheduleDescription) -> Wait | None:
    """What the run that a schedule has under way waits for; None when it goes on, or there is none."""
    for action in description.info.running_actions:
        if not isinstance(action, ScheduleActionExecutionStartWorkflow):
            continue
        try:
            handle = client.get_workflow_handle(action.workflow_id)
            scheduled = await handle.describe(rpc_timeout=server.RPC_TIMEOUT)
            wait = await wait_of_child(client, scheduled.raw_description)
        except RPCError:
            continue
        if wait is not None:
            return wait
    return None


def _prefix(host: str) -> str:
    return f"{PREFIX}.{host}."
