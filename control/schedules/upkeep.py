"""Keeps on the server what services see to by themselves: the watchdog's looks at sources, and the daily cleanup.

They are no schedules of the settings, so `holdfast schedule` leaves them alone. The watchdog's stands while there are
notices to send, and something to watch over: a source with `max_age`, or runs that are missed or wait. The cleanup's
stands while the settings have repositories.
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

from holdfast.contracts.cleanup import CLEANUP_WORKFLOW, CleanupRequest
from holdfast.contracts.notify import WATCHDOG_WORKFLOW, WatchdogRequest
from holdfast.control.requests import run_policy
from holdfast.service.settings.model import Settings

WATCH_EVERY: Final = timedelta(minutes=15)
CLEAN_EVERY: Final = timedelta(days=1)
_TRIES: Final = 40
"""Looks at a repository that is in use, a quarter of an hour apart: most of a night."""
_LOOKED_FOR: Final = frozenset(("missed", "waiting"))


def watchdog_id(host: str) -> str:
    """The watchdog's schedule, and the beginning of its workflows' ids."""
    return f"holdfast-watchdog.{host}"


def cleanup_id(host: str) -> str:
    """The cleanup's schedule, and the beginning of its workflows' ids."""
    return f"holdfast-cleanup.{host}"


async def ensure_upkeep(client: Client, settings: Settings, queue: str) -> None:
    """Make both schedules, bring them up to date, or remove them, as the settings want it. A pause stays.

    Raises:
        RPCError: the server does not answer as it should.
    """
    watchdog = _schedule(
        WATCHDOG_WORKFLOW,
        WatchdogRequest(policy=run_policy(settings)),
        name=watchdog_id(settings.host),
        queue=queue,
        every=WATCH_EVERY,
        summary="look for overdue sources and missed schedules",
    )
    await _ensure(client, watchdog_id(settings.host), watchdog if is_wanted(settings) else None)
    repositories = tuple(settings.repositories)
    cleanup = _schedule(
        CLEANUP_WORKFLOW,
        CleanupRequest(repositories=repositories, tries=_TRIES, policy=run_policy(settings)),
        name=cleanup_id(settings.host),
        queue=queue,
        every=CLEAN_EVERY,
        summary="remove what nobody goes on with",
    )
    await _ensure(client, cleanup_id(settings.host), cleanup if repositories else None)


def is_wanted(settings: Settings) -> bool:
    """Whether there is anything to watch over, and a place for notices of it."""
    ages = any(source.max_age_s is not None for source in settings.sources.values())
    return settings.notices.is_wanted and (ages or bool(_LOOKED_FOR & set(settings.notices.on)))


def _schedule(
    workflow: str, request: object, *, name: str, queue: str, every: timedelta, summary: str
) -> Schedule:
    """A schedule of which one time makes up for all that were missed."""
    return Schedule(
        action=ScheduleActionStartWorkflow(
            workflow, request, id=name, task_queue=queue, static_summary=summary
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        policy=SchedulePolicy(catchup_window=every),
    )


async def _ensure(client: Client, name: str, schedule: Schedule | None) -> None:
    """Have this schedule stand on the server, or none of that name."""
    handle = client.get_schedule_handle(name)
    if schedule is None:
        try:
            await handle.delete()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
        return
    try:
        await client.create_schedule(name, schedule)
    except ScheduleAlreadyRunningError:

        def renewed(standing: ScheduleUpdateInput) -> ScheduleUpdate:
            schedule.state = standing.description.schedule.state
            return ScheduleUpdate(schedule)

        await handle.update(renewed)
