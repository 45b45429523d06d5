"""The throttle that a run was asked for, as the engine's rules."""

from holdfast.contracts.control import Throttle, minute_of_day
from holdfast.pace import Pace, RateRules, RateWindow


def pace_of(throttle: Throttle) -> Pace | None:
    """The pace of one activity; None where nothing is limited. Only one activity of a throttled run moves bytes."""
    return Pace(rules_of(throttle)) if throttle.limits else None


def rules_of(throttle: Throttle) -> RateRules:
    """The limit at each time of day."""
    windows = tuple(
        RateWindow(
            start_minute=minute_of_day(window.start),
            end_minute=minute_of_day(window.end),
            bytes_per_second=window.bytes_per_second,
        )
        for window in throttle.windows
    )
    return RateRules(bytes_per_second=throttle.bytes_per_second, windows=windows)
