"""When a schedule runs: cron lines and calendar rules, checked as the Temporal server checks them, and a little more.

The server takes what it can read and says no to the rest, but only when the schedule is created; what never comes, as
31 February, it takes as well. Here all of it is refused when the settings are read.
Source: Temporal, service/worker/scheduler/calendar.go, and a server that was asked (tests/triggers/test_times.py).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from holdfast.service.settings.place import Place
from holdfast.service.settings.suggestions import one_of

_DAYS: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_MONTHS: Final = (
    *("january", "february", "march", "april", "may", "june", "july"),
    *("august", "september", "october", "november", "december"),
)
_SHORTEST_NAME: Final = 3
_PART: Final = re.compile(r"(?P<first>\w+|\*)(?:-(?P<last>\w+))?(?:/(?P<step>\d+))?", re.ASCII)
_WORDS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_LAST_YEAR: Final = 2100


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    """What a field may hold. names: of its values, from the least on."""

    least: int
    most: int
    names: tuple[str, ...] = ()


_FIELDS: Final = {
    "second": _Field(least=0, most=59),
    "minute": _Field(least=0, most=59),
    "hour": _Field(least=0, most=23),
    "day_of_month": _Field(least=1, most=31),
    "month": _Field(least=1, most=12, names=_MONTHS),
    "day_of_week": _Field(least=0, most=6, names=_DAYS),
}
_CRON_FIELDS: Final = _FIELDS | {
    "day_of_week": _Field(least=0, most=7, names=_DAYS),
    "year": _Field(least=2000, most=_LAST_YEAR),
}
_FIVE: Final = ("minute", "hour", "day_of_month", "month", "day_of_week")
_CRON_FORMS: Final = {5: _FIVE, 6: (*_FIVE, "year"), 7: ("second", *_FIVE, "year")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Numbers from `first` to `last`, both included, each `step`-th."""

    first: int
    last: int
    step: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarRule:
    """Moments on the calendar; an empty tuple of spans means any. Days of the week count from Sunday, 0."""

    second: tuple[Span, ...] = ()
    minute: tuple[Span, ...] = ()
    hour: tuple[Span, ...] = ()
    day_of_month: tuple[Span, ...] = ()
    month: tuple[Span, ...] = ()
    day_of_week: tuple[Span, ...] = ()


def check_cron(line: str, place: Place) -> None:
    """Refuse a cron line that the server would refuse, or whose time never comes.

    Raises:
        SettingsError: so it is.
    """
    _refuse_never("cron", _cron_spans(line, place), place)


def cron_spans(line: str) -> dict[str, tuple[Span, ...]]:
    """What a line of settings says of each of its fields."""
    return _cron_spans(line, Place(file=""))


def _cron_spans(line: str, place: Place) -> dict[str, tuple[Span, ...]]:
    fields = _WORDS.get(line.strip(), line).split()
    form = _CRON_FORMS.get(len(fields))
    if form is None:
        place.refuse(
            "cron",
            "five fields are expected",
            'Write one like "30 2 * * sun" (minute hour day month weekday).',
        )
    return {
        name: _spans("cron", name, text, _CRON_FIELDS[name], place)
        for name, text in zip(form, fields, strict=True)
    }


def calendar_rule(rule: Mapping[str, int | str], place: Place) -> CalendarRule:
    """One rule. What is finer than the finest key that is given is zero: `hour = 3` means at 3:00:00.

    Raises:
        SettingsError: something in it is wrong, or its time never comes.
    """
    for key in rule:
        if key not in _FIELDS:
            place.refuse(f"calendar.{key}", "this key is not known", one_of(key, _FIELDS, "calendar"))
    if not rule:
        place.refuse("calendar", "it says nothing", 'Write calendar = { day_of_week = "sun", hour = 3 }.')
    spans = {
        key: _spans(f"calendar.{key}", key, str(value).replace(" ", ""), _FIELDS[key], place)
        for key, value in rule.items()
    }
    _refuse_never("calendar", spans, place)
    zero = (Span(first=0, last=0),)
    for key in ("second", "minute", "hour"):
        if key in rule:
            break
        spans[key] = zero
    return CalendarRule(**spans)


def _spans(key: str, name: str, text: str, field: _Field, place: Place) -> tuple[Span, ...]:
    return tuple(_span(key, name, part, field, place) for part in text.lower().split(","))


def _span(key: str, name: str, part: str, field: _Field, place: Place) -> Span:
    match = _PART.fullmatch(part)
    if match is None or (match["first"] == "*" and match["last"]):
        place.refuse(
            key,
            f"{part!r} is no {name.replace('_', ' ')}",
            f'Write numbers like "{field.least}-{field.most}", "*/2" or "{field.least},{field.most}".',
        )
    if match["first"] == "*":
        first, last = field.least, field.most
    else:
        first = _number(key, name, match["first"], field, place)
        last = first if match["last"] is None else _number(key, name, match["last"], field, place)
    if match["last"] is None and match["step"] is not None:
        last = field.most  # "5/10" means from 5 on
    if first > last:
        place.refuse(
            key,
            f"{part!r} ends before it begins",
            f'Write two with a comma between them: "{match["first"]},{match["last"]}", or two ranges.',
        )
    step = int(match["step"] or 1)
    if step < 1:
        place.refuse(key, "a step of zero leads nowhere", "Write 1 or more.")
    return Span(first=first, last=last, step=step)


def _number(key: str, name: str, text: str, field: _Field, place: Place) -> int:
    if text.isdigit():
        value = int(text)
    else:
        long_enough = len(text) >= _SHORTEST_NAME
        value = next(
            (n for n, full in enumerate(field.names, field.least) if long_enough and full.startswith(text)),
            field.most + 1,
        )
    if not field.least <= value <= field.most:
        names = f', or a name like "{field.names[0][:_SHORTEST_NAME]}"' if field.names else ""
        place.refuse(
            key,
            f"{text!r} is no {name.replace('_', ' ')}",
            f"Write a number from {field.least} to {field.most}{names}.",
        )
    return value


def _refuse_never(key: str, spans: Mapping[str, Sequence[Span]], place: Place) -> None:
    """Refuse what no date is: 31 February, a year that has passed."""
    if not {"day_of_month", "year"} & spans.keys():
        return
    chosen = {name: _values(found) for name, found in spans.items()}
    days, months, weekdays, years = (
        chosen.get(name) for name in ("day_of_month", "month", "day_of_week", "year")
    )
    today = datetime.now(UTC).date() - timedelta(days=1)
    for year in range(today.year, _LAST_YEAR + 1):
        if years is not None and year not in years:
            continue
        for month in sorted(months or range(1, 13)):
            for day in sorted(days or range(1, 32)):
                try:
                    found = date(year, month, day)
                except ValueError:
                    continue
                weekday = found.isoweekday() % 7
                if found >= today and (weekdays is None or {weekday, weekday or 7} & weekdays):
                    return
    place.refuse(key, "no such date comes", "Check its day, month, weekday and year: they must all agree.")


def _values(spans: Sequence[Span]) -> frozenset[int]:
    return frozenset(value for span in spans for value in range(span.first, span.last + 1, span.step))
