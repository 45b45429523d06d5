"""People type moments for --since and --until: a date, a date and time, or how long ago."""

from datetime import datetime

from holdfast.errors import UsageError
from holdfast.units import NS_PER_S, parse_duration


def parse_moment(text: str, *, option: str, now_ns: int) -> int:
    """Nanoseconds since 1970. A moment without a time zone is one of the local zone.

    Raises:
        UsageError: it is none.
    """
    try:
        return now_ns - round(parse_duration(text) * NS_PER_S)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text.strip())
        return round(moment.astimezone().timestamp() * 1_000_000) * 1_000
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"{option}: {text!r} is no moment", hint='Write "2026-11-24", "2026-11-24 08:30" or "36h" (ago).'
        ) from None
