"""Corrects calendars for nights in which a clock is put forward or back: the server errs there.

The rule: a time that the clock skips runs as much later as the clock was put forward (02:30 becomes 03:30); a time that
comes twice runs once, the second time. Left to itself, the server (asked in tests/triggers/test_summer_time.py) skips
what the clock skips, and runs what lies in the hour before a doubled one again in the first of the two.
So both are said to it beforehand, date by date, for as many years as the rules of time zones are likely to hold.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from temporalio.client import ScheduleCalendarSpec, ScheduleRange

from holdfast.service.settings.schedule_times import Span, cron_spans
from holdfast.service.settings.schedules import ScheduleSettings

YEARS: Final = 10
_HOURS: Final = 24
_WEEK_DAYS: Final = 7
_Spans = dict[str, tuple[Span, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """A day on which the clock is put forward or back by whole hours."""

    day: date
    skipped: frozenset[int]
    doubled: frozenset[int]


def corrections(
    settings: ScheduleSettings, today: date
) -> tuple[list[ScheduleCalendarSpec], list[ScheduleCalendarSpec]]:
    """Times beside those of the schedule, and times that are none, for the nights of the years to come."""
    rules = [cron_spans(line) for line in settings.cron]
    rules += [
        {name: getattr(rule, name) for name in rule.__slots__ if getattr(rule, name)}
        for rule in settings.calendar
    ]
    more: list[ScheduleCalendarSpec] = []
    less: list[ScheduleCalendarSpec] = []
    for night in nights(settings.time_zone, today) if rules else ():
        today_s = [rule for rule in rules if _is_of(rule, night.day)]
        hours = [_values(rule, "hour", range(_HOURS)) for rule in today_s]
        for rule, own in zip(today_s, hours, strict=True):
            late = {hour + len(night.skipped) for hour in night.skipped & own} - own
            if late:
                more.append(_at(night.day, late, rule))
        before = {min(night.doubled) - 1} if night.doubled else set()
        if any(before & own for own in hours) and not any(night.doubled & own for own in hours):
            less.append(_at(night.day, night.doubled, {}))
    return more, less


def nights(time_zone: str, today: date) -> Iterator[Night]:
    """The nights of the years to come, where the zone has any."""
    try:
        zone = ZoneInfo(time_zone)
    except ZoneInfoNotFoundError:
        return
    for number in range(YEARS * 366):
        day = today + timedelta(days=number)
        begin = datetime(day.year, day.month, day.day, tzinfo=zone)
        if begin.utcoffset() == (begin + timedelta(days=1)).utcoffset() and not _is_skipped(begin):
            continue
        hours = [begin.replace(hour=hour) for hour in range(_HOURS)]
        skipped = frozenset(
            time.hour for time in hours if _is_skipped(time) and _is_skipped(time.replace(minute=59))
        )
        doubled = frozenset(
            time.hour
            for time in hours
            if not _is_skipped(time) and time.utcoffset() != time.replace(fold=1).utcoffset()
        )
        yield Night(day=day, skipped=skipped, doubled=doubled)


def _is_skipped(time: datetime) -> bool:
    back = time.astimezone(UTC).astimezone(time.tzinfo)
    return back.replace(tzinfo=None) != time.replace(tzinfo=None)


def _is_of(rule: _Spans, day: date) -> bool:
    weekday = day.isoweekday() % _WEEK_DAYS
    return (
        day.month in _values(rule, "month", (day.month,))
        and day.day in _values(rule, "day_of_month", (day.day,))
        and bool({weekday, weekday or _WEEK_DAYS} & _values(rule, "day_of_week", (weekday,)))
        and day.year in _values(rule, "year", (day.year,))
    )


def _values(rule: _Spans, name: str, otherwise: Sequence[int]) -> set[int]:
    spans = rule.get(name)
    if spans is None:
        return set(otherwise)
    return {value for span in spans for value in range(span.first, span.last + 1, span.step)}


def _at(day: date, hours: set[int] | frozenset[int], rule: _Spans) -> ScheduleCalendarSpec:
    """These hours of a day, at the minutes and seconds of the rule; at all of them for one that says nothing."""

    def ranges(name: str) -> list[ScheduleRange]:
        spans = rule.get(name) or (Span(first=0, last=59 if not rule or name == "minute" else 0),)
        return [ScheduleRange(span.first, span.last, span.step) for span in spans]

    return ScheduleCalendarSpec(
        second=ranges("second"),
        minute=ranges("minute"),
        hour=[ScheduleRange(hour, hour, 1) for hour in sorted(hours)],
        day_of_month=[ScheduleRange(day.day, day.day, 1)],
        month=[ScheduleRange(day.month, day.month, 1)],
        year=[ScheduleRange(day.year, day.year, 1)],
    )
