"""Says when each source of the settings is backed up next by itself: by its schedules, or when it changes."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

from holdfast.contracts.waiting import WaitsFor
from holdfast.control.standing.state import Next
from holdfast.service.settings.model import Settings
from holdfast.service.waits import Wait
from holdfast.units import NS_PER_S

if TYPE_CHECKING:
    from temporalio.client import Client, ScheduleListDescription

BY_HAND: Final = "by hand"
NO_SERVICE: Final = "no service"
NOT_APPLIED: Final = "not applied"
ON_CHANGE: Final = "on change"
PAUSED: Final = "paused"


async def next_times(client: "Client | None", settings: Settings) -> dict[str, Next]:
    """By source. client: None where no server runs, and so nothing goes on by itself.

    Raises:
        RPCError: the server does not answer.
    """
    wanted = {name: list(_schedules(settings, name)) for name in settings.sources}
    standing: dict[str, ScheduleListDescription] = {}
    if client is not None and any(wanted.values()):
        async for schedule in await client.list_schedules():
            standing[schedule.id] = schedule
    return {
        name: _next(settings, name, ids, standing, is_served=client is not None)
        for name, ids in wanted.items()
    }


def _schedules(settings: Settings, source: str) -> Iterator[str]:
    """The ids of the schedules that back a source up, by itself or with a system."""
    from holdfast.control.schedules.declaration import schedule_id  # noqa: PLC0415 - only where there are schedules

    own = [one for one in settings.sources[source].schedules if one.kind == "backup"]
    own += [one for one in settings.schedules if one.kind == "backup" and one.source == source]
    for schedule in own:
        yield schedule_id(settings.host, source, schedule.name)
    for schedule in settings.schedules:
        if schedule.kind == "system" and any(
            member.source == source and member.host in {"", settings.host}
            for member in settings.systems[schedule.system].members
        ):
            yield schedule_id(settings.host, schedule.system, schedule.name)


def _next(
    settings: Settings,
    source: str,
    ids: list[str],
    standing: Mapping[str, "ScheduleListDescription"],
    *,
    is_served: bool,
) -> Next:
    watched = settings.sources[source].watch is not None
    if not ids and not watched:
        return Next(note=BY_HAND)
    if not is_served:
        return Next(note=NO_SERVICE)
    there = [standing[name] for name in ids if name in standing]
    running = [one for one in there if one.schedule is None or not one.schedule.state.paused]
    times = [moment for one in running if one.info is not None for moment in one.info.next_action_times]
    if times:
        return Next(at_ns=_ns(min(times)))
    if watched:
        return Next(note=ON_CHANGE)
    if there and not running:
        notes = [one.schedule.state.note or "" for one in there if one.schedule is not None]
        return Next(note=PAUSED, wait=_paused(notes[0]))
    return Next(note=NOT_APPLIED if not there else "")


def _paused(note: str) -> Wait:
    return Wait(
        what=WaitsFor.PAUSED,
        detail=f"its schedules ({note})" if note else "its schedules",
        next_step="`holdfast schedule resume` lets them run again.",
    )


def _ns(moment: datetime) -> int:
    return round(moment.timestamp()) * NS_PER_S
