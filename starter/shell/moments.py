"""People type moments for --since and --until: a date, a date and time, a day of the week, or how long ago."""

from datetime import datetime, timedelta
from typing import Final

from holdfast.errors import UsageError
from holdfast.units import NS_PER_S, parse_duration

_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def parse_moment(text: str, *, option: str, now_ns: int) -> int:
    """Nanoseconds since 1970. A moment without a time zone is one of the local zone. A day is where it begins:
    "tuesday" is the last one, today counted.

    Raises:
        UsageError: it is none.
    """
    try:
        return now_ns - round(parse_duration(text) * NS_PER_S)
    except ValueError:
        pass
    try:
        moment = _day(text.strip().lower(), now_ns) or datetime.fromisoformat(text.strip())
        return round(moment.astimezone().timestamp() * 1_000_000) * 1_000
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"{option}: {text!r} is no moment",
            hint='Write "2026-11-24", "2026-11-24 08:30", "tuesday" or "36h" (ago).',
        ) from None


def _day(word: str, now_ns: int) -> datetime | None:
    """The beginning of today, yesterday, or the last day of that name; None for another word."""
    today = datetime.fromtimestamp(now_ns // NS_PER_S).replace(hour=0, minute=0, second=0)  # noqa: DTZ006 - local
    if word in {"today", "yesterday"}:
        return today - timedelta(days=word == "yesterday")
    if word not in _DAYS:
        return None
    return today - timedelta(days=(today.weekday() - _DAYS.index(word)) % len(_DAYS))
