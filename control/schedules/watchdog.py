"""Sees to it that a watchdog looks after this host's sources: a schedule on the server, kept by the services.

It is no schedule of the settings, so `holdfast schedule` leaves it alone. It stands as long as something is to be
watched over: a source with `max_age`, or missed runs that somebody wants to be told of.
"""

from datetime import timedelta
from typing import Final

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError, RPCStatusCode

from contracts.notify import WATCHDOG_WORKFLOW, WatchdogRequest
from control.requests import run_policy
from service.settings.model import Settings

WATCH_EVERY: Final = timedelta(minutes=15)
_LOOKED_FOR: Final = frozenset(("missed", "waiting"))


def watchdog_id(host: str) -> str:
    """The schedule's, and the beginning of its workflows'."""
    return f"holdfast-watchdog.{host}"


def is_wanted(settings: Settings) -> bool:
    """Whether there is anything to watch over, and anybody to tell."""
    ages = any(source.max_age_s is not None for source in settings.sources.values())
    return settings.notices.is_wanted and (ages or bool(_LOOKED_FOR & set(settings.notices.on)))


async def ensure_watchdog(client: Client, settings: Settings, queue: str) -> None:
    """Make the schedule, bring it up to date, or remove it, as the settings want it. A pause stays.

    Raises:
        RPCError: the server does not answer as it should.
    """
    name = watchdog_id(settings.host)
    schedule = Schedule(
        action=ScheduleActionStartWorkflow(
            WATCHDOG_WORKFLOW,
            WatchdogRequest(policy=run_policy(settings)),
            id=name,
            task_queue=queue,
            static_summary="look for overdue sources and missed schedules",
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=WATCH_EVERY)]),
        # One look makes up for all that were missed.
        policy=SchedulePolicy(catchup_window=WATCH_EVERY),
    )
    await ensure_schedule(client, name, schedule if is_wanted(settings) else None)


async def ensure_schedule(client: Client, name: str, schedule: Schedule | None) -> None:
    """Have this schedule stand on the server, or none of that name. A pause stays.

    Raises:
        RPCError: the server does not answer as it should.
    """
    if schedule is None:
        await _remove(client, name)
        return
    try:
        await client.create_schedule(name, schedule)
    except ScheduleAlreadyRunningError:

        def renewed(standing: ScheduleUpdateInput) -> ScheduleUpdate:
            schedule.state = standing.description.schedule.state
            return ScheduleUpdate(schedule)

        await client.get_schedule_handle(name).update(renewed)


async def _remove(client: Client, name: str) -> None:
    try:
        await client.get_schedule_handle(name).delete()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
