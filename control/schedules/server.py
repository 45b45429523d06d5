"""Translates schedules for the Temporal server, and creates, changes, deletes and describes them there.

The entry of a declaration stands in the memo of the schedule's action: it changes together with the schedule, and each
run that the schedule starts shows it. Lists of schedules lag behind on every server, so each one that matters is
described by its id, which does not.
"""

import contextlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleCalendarSpec,
    ScheduleDescription,
    ScheduleHandle,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.converter import WorkflowSerializationContext
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from holdfast.contracts.scheduled import SCHEDULED_RUN_WORKFLOW
from holdfast.control.schedules.declaration import PREFIX, Declaration
from holdfast.control.schedules.plan import PlannedStep, Standing, Step, plain
from holdfast.control.schedules.summer_time import corrections
from holdfast.errors import UsageError
from holdfast.service.settings.schedule_times import CalendarRule, Span
from holdfast.service.settings.schedules import ScheduleSettings

ENTRY: Final = "holdfast-schedule"
RPC_TIMEOUT: Final = timedelta(seconds=10)
_OVERLAPS: Final = {
    "skip": ScheduleOverlapPolicy.SKIP,
    "buffer_one": ScheduleOverlapPolicy.BUFFER_ONE,
    "buffer_all": ScheduleOverlapPolicy.BUFFER_ALL,
    "cancel_other": ScheduleOverlapPolicy.CANCEL_OTHER,
    "terminate_other": ScheduleOverlapPolicy.TERMINATE_OTHER,
    "allow_all": ScheduleOverlapPolicy.ALLOW_ALL,
}


async def standing(client: Client, host: str, declared: Sequence[str]) -> list[Standing]:
    """The schedules of this host that the server has. declared: ids that are looked up even if they are not listed."""
    ids = set(declared)
    prefix = f"{PREFIX}.{host}."
    async for listed in await client.list_schedules():
        if listed.id.startswith(prefix):
            ids.add(listed.id)
    found: list[Standing] = []
    for name in sorted(ids):
        description = await describe(client, name)
        entry = None if description is None else await entry_of(client, description)
        # A host may be called "mars", another one "mars.example": the entry says whose it is.
        if entry is not None and entry.get("host") == host:
            found.append(Standing(id=name, entry=entry))
    return found


async def describe(client: Client, name: str) -> ScheduleDescription | None:
    """A schedule as the server has it; None when it has none of that id."""
    try:
        return await client.get_schedule_handle(name).describe(rpc_timeout=RPC_TIMEOUT)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise


async def entry_of(client: Client, description: ScheduleDescription) -> dict[str, object] | None:
    """What a schedule of ours was declared as; None for another's."""
    action = description.schedule.action
    if not isinstance(action, ScheduleActionStartWorkflow) or not action.memo or ENTRY not in action.memo:
        return None
    place = WorkflowSerializationContext(namespace=client.namespace, workflow_id=action.id)
    converter = client.data_converter.with_context(place)
    try:
        [written] = await converter.decode([action.memo[ENTRY]], [str])
        entry: object = json.loads(written)
    except (ApplicationError, ValueError):
        return {}
    return entry if isinstance(entry, dict) else {}


async def carry_out_all(client: Client, steps: Sequence[PlannedStep]) -> None:
    """Do all steps, or none: what was done before one fails is undone.

    Raises:
        UsageError: the server refuses a declaration.
        RPCError: the server cannot be reached.
    """
    done: list[tuple[PlannedStep, ScheduleDescription | None]] = []
    try:
        for step in steps:
            before = None if step.step is Step.CREATE else await describe(client, step.id)
            await carry_out(client, step)
            done.append((step, before))
    except (UsageError, RPCError):
        for step, before in reversed(done):
            with contextlib.suppress(RPCError):
                await _undo(client, step, before)
        raise


async def _undo(client: Client, step: PlannedStep, before: ScheduleDescription | None) -> None:
    handle = client.get_schedule_handle(step.id)
    if before is None:
        await handle.delete(rpc_timeout=RPC_TIMEOUT)
    elif step.declared is None:
        await client.create_schedule(step.id, before.schedule, rpc_timeout=RPC_TIMEOUT)
    else:
        await handle.update(lambda _: ScheduleUpdate(schedule=before.schedule), rpc_timeout=RPC_TIMEOUT)


async def carry_out(client: Client, step: PlannedStep) -> None:
    """Do one step. A schedule that is paused stays paused when it is changed.

    Raises:
        UsageError: the server refuses the declaration.
    """
    handle = client.get_schedule_handle(step.id)
    try:
        if step.declared is None:
            await handle.delete(rpc_timeout=RPC_TIMEOUT)
        elif step.step is Step.CREATE:
            await client.create_schedule(step.id, translate(step.declared), rpc_timeout=RPC_TIMEOUT)
        else:
            await _change(handle, step.declared)
    except ScheduleAlreadyRunningError:
        await _change(handle, _wanted(step))
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND and step.declared is None:
            return
        if error.status is RPCStatusCode.INVALID_ARGUMENT:
            raise UsageError(
                f"{step.id}: the server refuses this schedule: {error.message}",
                hint="Correct its cron, every or calendar in holdfast.toml.",
            ) from error
        raise


def translate(declared: Declaration) -> Schedule:
    """The declaration in Temporal's terms."""
    settings = declared.settings
    return Schedule(
        action=ScheduleActionStartWorkflow(
            SCHEDULED_RUN_WORKFLOW,
            declared.order,
            id=declared.id,
            task_queue=declared.queue,
            memo={ENTRY: json.dumps(plain(declared.entry), sort_keys=True)},
            static_summary=f"{settings.kind} by the schedule {settings.name}",
        ),
        spec=_spec(settings),
        policy=SchedulePolicy(
            overlap=_OVERLAPS[settings.overlap],
            catchup_window=timedelta(seconds=settings.catch_up_s),
            pause_on_failure=settings.pause_on_failure,
        ),
    )


def _wanted(step: PlannedStep) -> Declaration:
    if step.declared is None:
        raise ValueError("a step that deletes declares nothing")
    return step.declared


async def _change(handle: ScheduleHandle, declared: Declaration) -> None:
    def update(given: ScheduleUpdateInput) -> ScheduleUpdate:
        schedule = translate(declared)
        schedule.state = given.description.schedule.state
        return ScheduleUpdate(schedule=schedule)

    await handle.update(update, rpc_timeout=RPC_TIMEOUT)


def _spec(settings: ScheduleSettings) -> ScheduleSpec:
    intervals = []
    if settings.every_s is not None:
        every, offset = timedelta(seconds=settings.every_s), timedelta(seconds=settings.offset_s)
        intervals.append(ScheduleIntervalSpec(every=every, offset=offset))
    more, less = corrections(settings, datetime.now(UTC).date())
    return ScheduleSpec(
        calendars=[*(_calendar(rule) for rule in settings.calendar), *more],
        skip=less,
        intervals=intervals,
        cron_expressions=list(settings.cron),
        jitter=timedelta(seconds=settings.jitter_s) if settings.jitter_s else None,
        time_zone_name=settings.time_zone,
    )


def _calendar(rule: CalendarRule) -> ScheduleCalendarSpec:
    def ranges(spans: Sequence[Span], least: int, most: int) -> list[ScheduleRange]:
        chosen = spans or (Span(first=least, last=most),)
        return [ScheduleRange(span.first, span.last, span.step) for span in chosen]

    return ScheduleCalendarSpec(
        second=ranges(rule.second, 0, 59),
        minute=ranges(rule.minute, 0, 59),
        hour=ranges(rule.hour, 0, 23),
        day_of_month=ranges(rule.day_of_month, 1, 31),
        month=ranges(rule.month, 1, 12),
        day_of_week=ranges(rule.day_of_week, 0, 6),
    )
