"""Both nights of summer time, as the server itself says when it would run."""

from datetime import UTC, date, datetime, timedelta

import pytest
from temporalio.api.workflowservice.v1 import ListScheduleMatchingTimesRequest
from temporalio.client import Client

from holdfast.control.schedules import server
from holdfast.control.schedules.declaration import declarations
from holdfast.control.schedules.summer_time import Night, nights
from tests.triggers.site import Site


def night(zone: str, *, forward: bool) -> Night:
    """The next one in which the clock is put forward, or back."""
    found = nights(zone, datetime.now(UTC).date() + timedelta(days=2))
    return next(night for night in found if bool(night.skipped) is forward)


async def runs(site: Site, client: Client, when: str, zone: str, day: date) -> list[str]:
    """The hours and minutes (UTC) from the noon before to the noon of a day at which a schedule runs."""
    site.declare(f'schedules = [{{name = "a", {when}, time_zone = "{zone}"}}]\n')
    [declared] = declarations(site.settings)
    handle = await client.create_schedule(declared.id, server.translate(declared))
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    request = ListScheduleMatchingTimesRequest(namespace=client.namespace, schedule_id=declared.id)
    request.start_time.FromDatetime(noon - timedelta(hours=18))
    request.end_time.FromDatetime(noon - timedelta(hours=6))
    answer = await client.workflow_service.list_schedule_matching_times(request)
    await handle.delete()
    return [f"{time.ToDatetime():%H:%M}" for time in answer.start_time]


@pytest.mark.parametrize(
    ("when", "forward", "back"),
    [
        ('cron = "30 2 * * *"', ["01:30"], ["01:30"]),
        ('cron = "0 2 * * *"', ["01:00"], ["01:00"]),
        ("calendar = {hour = 2, minute = 30}", ["01:30"], ["01:30"]),
        ('cron = "30 1 * * *"', ["00:30"], ["23:30"]),
        ('cron = "30 3 * * *"', ["01:30"], ["02:30"]),
        ('cron = "30 2,3 * * *"', ["01:30"], ["01:30", "02:30"]),
        ('cron = ["30 1 * * *", "45 2 * * *"]', ["00:30", "01:45"], None),
    ],
)
async def test_in_both_nights_each_time_runs_once(
    site: Site, client: Client, when: str, forward: list[str], back: list[str] | None
) -> None:
    zone = "Europe/Berlin"
    assert await runs(site, client, when, zone, night(zone, forward=True).day) == forward
    if back is not None:
        assert await runs(site, client, when, zone, night(zone, forward=False).day) == back


async def test_a_zone_without_summer_time_needs_no_correction(site: Site, client: Client) -> None:
    assert list(nights("Asia/Tokyo", date(2026, 1, 1))) == []
    assert list(nights("UTC", date(2026, 1, 1))) == []
    site.declare('schedules = [{name = "a", cron = "30 2 * * *"}]\n')
    spec = server.translate(declarations(site.settings)[0]).spec
    assert (list(spec.calendars), list(spec.skip)) == ([], [])


def test_the_nights_are_those_of_the_zone() -> None:
    berlin = list(nights("Europe/Berlin", date(2027, 1, 1)))[:2]
    assert berlin == [
        Night(day=date(2027, 3, 28), skipped=frozenset({2}), doubled=frozenset()),
        Night(day=date(2027, 10, 31), skipped=frozenset(), doubled=frozenset({2})),
    ]
    cairo = list(nights("Africa/Cairo", date(2027, 1, 1)))[:2]
    assert [night.skipped for night in cairo] == [frozenset({0}), frozenset()]
