"""Sees to it that this host's repositories are cleaned each day: a schedule on the server, kept by the services.

Like the watchdog's it is no schedule of the settings, so `holdfast schedule` leaves it alone.
"""

from datetime import timedelta
from typing import Final

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleIntervalSpec,
    SchedulePolicy,
    ScheduleSpec,
)

from contracts.cleanup import CLEANUP_WORKFLOW, CleanupRequest
from control.requests import run_policy
from control.schedules.watchdog import ensure_schedule
from service.settings.model import Settings

CLEAN_EVERY: Final = timedelta(days=1)
_TRIES: Final = 40
"""Looks at a repository that is in use, a quarter of an hour apart: most of a night."""


def cleanup_id(host: str) -> str:
    """The schedule's, and the beginning of its workflows'."""
    return f"holdfast-cleanup.{host}"


async def ensure_cleanup(client: Client, settings: Settings, queue: str) -> None:
    """Make the schedule, bring it up to date, or remove it where there is nothing to clean. A pause stays.

    Raises:
        RPCError: the server does not answer as it should.
    """
    name = cleanup_id(settings.host)
    request = CleanupRequest(
        repositories=tuple(settings.repositories), tries=_TRIES, policy=run_policy(settings)
    )
    schedule = Schedule(
        action=ScheduleActionStartWorkflow(
            CLEANUP_WORKFLOW,
            request,
            id=name,
            task_queue=queue,
            static_summary="remove what nobody goes on with",
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=CLEAN_EVERY)]),
        # One cleanup makes up for all that were missed.
        policy=SchedulePolicy(catchup_window=CLEAN_EVERY),
    )
    await ensure_schedule(client, name, schedule if settings.repositories else None)
