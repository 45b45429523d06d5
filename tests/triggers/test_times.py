"""What schedules may say: what the server would refuse, or what never comes, is refused when the settings are read."""

import dataclasses
from datetime import timedelta

import pytest
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleIntervalSpec,
    ScheduleSpec,
    ScheduleState,
)
from temporalio.service import RPCError

from holdfast.control.schedules import declaration, server
from holdfast.control.schedules.declaration import declarations
from holdfast.control.schedules.plan import plan
from holdfast.errors import SettingsError, UsageError
from holdfast.service.settings.place import Place
from holdfast.service.settings.schedule_times import CalendarRule, Span, calendar_rule, check_cron
from tests.triggers.site import Site

HERE = Place(file="holdfast.toml")
GOOD = (
    *(
        "30 2 * * *",
        "0 3 * * 7",
        "0 3 * * 0-7",
        "0 3 * * sat-7",
        "0 3 * * SATUR",
        "0 3 * sept *",
        "0 3 29 2 *",
    ),
    *(
        "*/90 3 * * *",
        "5/10 3 * * *",
        "1-5/2,7 3 * * *",
        "01 3 * * *",
        "0 3 1-31/5 jan-mar mon-fri",
        "@daily",
    ),
    *("0 0 3 * * * *", "0 3 * * * 2090", "0 3 * * mon,wed"),
)
REFUSED_BY_BOTH = (
    *("0 24 * * *", "60 3 * * *", "0 3 0 * *", "0 3 32 * *", "0 3 * 13 *", "0 3 * * 8", "0 3 * * satirday"),
    *("0 3 * maybe *", "0 3 * * sat-sun", "5-3 3 * * *", "*/0 3 * * *", "*-5 3 * * *", "1,2,,3 3 * * *"),
    *(
        "? 3 * * ?",
        "0 3 L * *",
        "0 3 ** * *",
        "0 3 * * * 1999",
        "0 0 3 * * * 2101",
        "60 0 3 * * * *",
        "@reboot",
    ),
    *("@Daily", "0 3 * *"),
)
REFUSED_BY_US = (
    "0 3 31 2 *",
    "0 3 30 feb *",
    "0 3 31 4,6 *",
    "0 3 * * * 2020",
    "0 3 * * sun#2",
    "0 3 * * sa",
    "+1 3 * * *",
)


async def taken(client: Client, spec: ScheduleSpec) -> bool:
    """Whether the server takes it."""
    action = ScheduleActionStartWorkflow("Nothing", id="nothing", task_queue="nobody")
    try:
        schedule = Schedule(action=action, spec=spec, state=ScheduleState(paused=True))
        await (await client.create_schedule("attempt", schedule)).delete()
    except RPCError:
        return False
    return True


async def test_a_cron_line_is_judged_as_the_server_judges_it(client: Client) -> None:
    for line in (*GOOD, *REFUSED_BY_BOTH, *REFUSED_BY_US):
        known = await taken(client, ScheduleSpec(cron_expressions=[line]))
        assert known is (line not in REFUSED_BY_BOTH), line
    for line in GOOD:
        check_cron(line, HERE)
    for line in (*REFUSED_BY_BOTH, *REFUSED_BY_US):
        with pytest.raises(SettingsError):
            check_cron(line, HERE)
    second = timedelta(seconds=1)
    assert not await taken(
        client, ScheduleSpec(intervals=[ScheduleIntervalSpec(every=second, offset=second)])
    )


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"day_of_week": "satirday", "hour": 3}, "'satirday' is no day of week"),
        ({"month": "maybe"}, "'maybe' is no month"),
        ({"day_of_week": "sat-sun"}, "ends before it begins"),
        ({"day_of_week": 7}, "'7' is no day of week"),
        ({"day_of_month": 31, "month": "feb"}, "no such date comes"),
        ({"day_of_month": "30-31", "month": 2}, "no such date comes"),
        ({"hour": 24}, "'24' is no hour"),
        ({"minute": "1,,2"}, "'' is no minute"),
    ],
)
def test_a_calendar_that_cannot_be_meant_is_refused(rule: dict[str, int | str], words: str) -> None:
    with pytest.raises(SettingsError) as refused:
        calendar_rule(rule, HERE)
    assert words in str(refused.value)


def test_a_calendar_is_read() -> None:
    assert calendar_rule({"day_of_week": "Sat, sun", "hour": "8-18/5"}, HERE) == CalendarRule(
        second=(Span(first=0, last=0),),
        minute=(Span(first=0, last=0),),
        hour=(Span(first=8, last=18, step=5),),
        day_of_week=(Span(first=6, last=6), Span(first=0, last=0)),
    )
    assert calendar_rule({"minute": "5/20"}, HERE).minute == (Span(first=5, last=59, step=20),)
    assert calendar_rule({"day_of_month": 29, "month": "february"}, HERE).month == (Span(first=2, last=2),)


@pytest.mark.parametrize(
    ("schedule", "key"),
    [
        ('every = "1h", offset = "1h"', "offset"),
        ('cron = "0 3 * * *", offset = "5m"', "offset"),
        ("every = 1.5", "every"),
        ("cron = []", "cron"),
        ("calendar = []", "calendar"),
        ('every = "1d", time_zone = "Europe/Atlantis"', "time_zone"),
    ],
)
def test_what_the_server_would_take_otherwise_than_it_was_meant_is_refused(
    site: Site, schedule: str, key: str
) -> None:
    site.declare(f'schedules = [{{name = "a", {schedule}}}]\n')
    with pytest.raises(SettingsError) as refused:
        _ = site.settings
    assert f"schedules[0].{key}" in str(refused.value)


def test_without_a_database_of_time_zones_only_what_needs_it_is_refused(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast.service.settings.schedules.available_timezones", set)
    monkeypatch.setattr(declaration, "available_timezones", set)
    site.declare('schedules = [{name = "a", every = "1d"}]\n')
    assert len(declarations(site.settings)) == 1
    site.declare('schedules = [{name = "a", cron = "0 3 * * *", time_zone = "Europe/Berlin"}]\n')
    assert site.settings.sources
    with pytest.raises(UsageError) as refused:
        declarations(site.settings)
    assert "no database of time zones" in refused.value.message
    assert "tzdata" in refused.value.hint


async def test_apply_is_all_or_nothing(site: Site, client: Client) -> None:
    """The server refuses the last step, by what nobody here foresaw: the earlier ones are undone."""
    site.declare('schedules = [{name = "kept", every = "1d"}, {name = "old", every = "1d"}]\n')
    for step in plan(declarations(site.settings), []):
        await server.carry_out(client, step)
    ids = [f"holdfast.{site.host}.docs.{name}" for name in ("kept", "new", "old")]
    before = await server.standing(client, site.host, ids)
    site.declare('schedules = [{name = "kept", every = "2d"}, {name = "new", every = "1d"}]\n')
    steps = plan(declarations(site.settings), before)
    assert [step.step.value for step in steps] == ["change", "create", "delete"]
    wanted = steps[1].declared
    assert wanted is not None
    foul = dataclasses.replace(
        wanted,
        id=f"{wanted.id}-z",
        settings=dataclasses.replace(wanted.settings, time_zone="Europe/Atlantis"),
    )
    with pytest.raises(UsageError, match="the server refuses"):
        await server.carry_out_all(client, [*steps, dataclasses.replace(steps[1], id=foul.id, declared=foul)])
    assert await server.standing(client, site.host, ids) == before
    described = await client.get_schedule_handle(ids[0]).describe()
    assert described.schedule.spec.intervals[0].every == timedelta(days=1)
