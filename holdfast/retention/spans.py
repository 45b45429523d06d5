"""A span of the calendar is restic's duration: years, months, days and hours, counted back from a snapshot's time.

Source: restic, internal/data/duration.go, and Go's `Time.AddDate`. A month back from the 31st of October is the 1st of
October, because September has no 31st: what is too many days goes over into the next month.
"""

import re
from dataclasses import dataclass
from datetime import date
from typing import Final, Self

from holdfast.format.times import parse_time
from holdfast.units import NS_PER_S

SPAN_EXAMPLES: Final = '"14d", "6m" or "1y5m7d2h"'
_PART: Final = re.compile(r"([0-9]{1,6})([ymdh])", re.ASCII)
_SPAN: Final = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)
_DAY_S: Final = 86_400
_HOUR_S: Final = 3_600
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_CYCLE_YEARS: Final = 400
_CYCLE_DAYS: Final = 146_097
"""The calendar repeats itself after 400 years, to the day of the week."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A snapshot's time, and what a clock on the wall showed where it was made: rules count days of that place.

    ns: since 1970. offset_s: how far that clock was ahead of UTC. hourly to yearly: numbers that two moments have in
    common just where they lie in the same hour, day, week (as ISO 8601 counts them), month or year.
    """

    ns: int
    year: int
    month: int
    day: int
    offset_s: int
    hourly: int
    daily: int
    weekly: int
    monthly: int
    yearly: int

    @classmethod
    def of(cls, text: str) -> Self:
        """The moment of an RFC 3339 time, which says its offset. Raises ValueError."""
        ns = parse_time(text)
        on_the_wall_ns = parse_time(f"{text[:19]}Z")
        year, month, day, hour = int(text[:4]), int(text[5:7]), int(text[8:10]), int(text[11:13])
        daily = (year * 100 + month) * 100 + day
        return cls(
            ns=ns,
            year=year,
            month=month,
            day=day,
            offset_s=on_the_wall_ns // NS_PER_S - ns // NS_PER_S,
            hourly=daily * 100 + hour,
            daily=daily,
            weekly=_week_of(year, month, day),
            monthly=year * 100 + month,
            yearly=year,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """So many years, months, days and hours."""

    years: int = 0
    months: int = 0
    days: int = 0
    hours: int = 0

    def __bool__(self) -> bool:
        return bool(self.years or self.months or self.days or self.hours)

    def __str__(self) -> str:
        """As restic writes it, "1y5m7d2h"."""
        parts = ((self.years, "y"), (self.months, "m"), (self.days, "d"), (self.hours, "h"))
        return "".join(f"{count}{unit}" for count, unit in parts if count)

    def before(self, moment: Moment) -> int:
        """The time that lies so far back from a moment, in ns since 1970; it may lie before the year 1."""
        days = _day_number(moment.year - self.years, moment.month - self.months, moment.day - self.days)
        of_day_ns = (moment.ns + moment.offset_s * NS_PER_S) % (_DAY_S * NS_PER_S)
        return (days * _DAY_S - moment.offset_s - self.hours * _HOUR_S) * NS_PER_S + of_day_ns


NO_SPAN: Final = Span()


def parse_span(text: str) -> Span:
    """A span from numbers with the units y, m (months), d and h, one after the other; the last of each counts.

    Raises:
        ValueError: `text` is no span, or an empty one.
    """
    stripped = text.strip()
    if _SPAN.fullmatch(stripped) is None:
        raise ValueError("not a span of time")
    found = {unit: int(number) for number, unit in _PART.findall(stripped)}
    span = Span(
        years=found.get("y", 0), months=found.get("m", 0), days=found.get("d", 0), hours=found.get("h", 0)
    )
    if not span:
        raise ValueError("an empty span of time")
    return span


def _week_of(year: int, month: int, day: int) -> int:
    cycle, year = divmod(year, _CYCLE_YEARS)
    week = date(year + _CYCLE_YEARS, month, day).isocalendar()
    return (week.year + (cycle - 1) * _CYCLE_YEARS) * 100 + week.week


def _day_number(year: int, month: int, day: int) -> int:
    """Days since 1970 of a date in any year, whose month and day may lie outside of their ranges."""
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    cycle, year = divmod(year, _CYCLE_YEARS)
    first = date(year + _CYCLE_YEARS, month, 1).toordinal() + (cycle - 1) * _CYCLE_DAYS
    return first + day - 1 - _EPOCH_ORDINAL
