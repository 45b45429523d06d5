"""Times are stored as restic does: RFC 3339 with nanoseconds, trailing zeros trimmed.

In memory a time is an integer of nanoseconds since 1970, UTC; datetime would lose nanoseconds. Years outside 0 to 9999
cannot be written; restic clamps them (internal/restic/node.go, `fixTime`), and so does this module.
"""

import re
from datetime import date
from functools import lru_cache
from typing import Final

from holdfast.units import NS_PER_S

_DAY_S: Final = 86_400
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
# Go's year 0 has no counterpart in `date`, whose years begin with 1: its days are counted by hand (a leap year).
_FIRST_NS: Final = (1 - _EPOCH_ORDINAL - 366) * _DAY_S * NS_PER_S
LAST_NS: Final = (date.max.toordinal() + 1 - _EPOCH_ORDINAL) * _DAY_S * NS_PER_S - 1
"""The end of the year 9999: what is later is clamped to it."""

ZERO_TIME: Final = "0001-01-01T00:00:00Z"
"""Go's time.Time without a value: what a time is that is left out."""
_FULL_LENGTH: Final = len("1970-01-01T00:00:00.123456789Z")
_RFC3339: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII
)


def format_time(ns: int) -> str:
    """RFC 3339 in UTC for nanoseconds since 1970, clamped to the years 0 to 9999."""
    if not _FIRST_NS <= ns <= LAST_NS:
        ns = min(max(ns, _FIRST_NS), LAST_NS)
    seconds, fraction = divmod(ns, NS_PER_S)
    if not fraction:
        return _second(seconds) + "Z"
    return f"{_second(seconds)}.{fraction:09d}".rstrip("0") + "Z"


def is_time(ns: int, text: str) -> bool:
    """Whether an RFC 3339 time says this time, clamped as `format_time` does.

    Writing a time is quicker than reading one, and mostly the same text comes out; restic writes with the local offset.

    Raises:
        ValueError: `text` is no such time.
    """
    # The last nine digits are those of the fraction: cutting them off is quicker than formatting them.
    is_usual = len(text) == _FULL_LENGTH and NS_PER_S <= ns <= LAST_NS
    if is_usual and text == f"{_second(ns // NS_PER_S)}.{str(ns)[-9:]}Z":
        return True
    return format_time(ns) == text or (not text.endswith("Z") and parse_time(text) == ns)


def parse_time(text: str) -> int:
    """Nanoseconds since 1970 of an RFC 3339 time with any offset.

    Raises:
        ValueError: `text` is no such time.
    """
    if text[19:] == "Z":
        return _whole_second(text[:19])
    fraction_text = text[20:-1]
    if text[19:20] == "." and text[-1] == "Z" and fraction_text.isascii() and fraction_text.isdecimal():
        return _whole_second(text[:19]) + int(fraction_text[:9].ljust(9, "0"))
    return _parse(text)


@lru_cache(maxsize=16_384)
def _whole_second(text: str) -> int:
    """A time without its fraction, in UTC; files that were written together share it."""
    return _parse(text + "Z")


def _parse(text: str) -> int:
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f"not an RFC 3339 time: {text[:60]!r}")
    year, month, day, hour, minute, second, fraction, sign, off_hour, off_minute = match.groups()
    if int(hour) > 23 or int(minute) > 59 or int(second) > 59:
        raise ValueError(f"not an RFC 3339 time: {text[:60]!r}")
    days = _days(int(year), int(month), int(day))
    seconds = days * _DAY_S + int(hour) * 3600 + int(minute) * 60 + int(second)
    if sign is not None:
        offset = int(off_hour) * 3600 + int(off_minute) * 60
        seconds -= offset if sign == "+" else -offset
    return seconds * NS_PER_S + int((fraction or "0").ljust(9, "0"))


@lru_cache(maxsize=4096)
def _day(days: int) -> str:
    ordinal = days + _EPOCH_ORDINAL
    if ordinal < 1:
        # Year 0 has the calendar of any leap year.
        return "0000" + date.fromordinal(ordinal + date(400, 12, 31).toordinal()).isoformat()[4:]
    return date.fromordinal(ordinal).isoformat()


@lru_cache(maxsize=16_384)
def _second(seconds: int) -> str:
    """Files that were written together share their second, so this is mostly remembered."""
    days, second = divmod(seconds, _DAY_S)
    return f"{_day(days)}T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"


@lru_cache(maxsize=4096)
def _days(year: int, month: int, day: int) -> int:
    if year == 0:
        return date(400, month, day).toordinal() - date(400, 12, 31).toordinal() - _EPOCH_ORDINAL
    return date(year, month, day).toordinal() - _EPOCH_ORDINAL
