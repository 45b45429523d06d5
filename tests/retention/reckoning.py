"""An independent reckoning of a policy: which snapshots stay, from sets of dates instead of a walk with counters.

Each rule is told by what it keeps: of the newest so many hours, days, weeks, months or years that have a snapshot, the
newest one each; and the oldest snapshot of all, where there are fewer of them.
"""

import calendar
from collections.abc import Callable, Hashable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby

from holdfast.format.times import parse_time
from holdfast.repository.snapshots import StoredSnapshot
from holdfast.retention.policy import Policy
from holdfast.retention.spans import Span

PERIODS: dict[str, Callable[[datetime], Hashable]] = {
    "hourly": lambda time: time.strftime("%Y-%m-%d %H"),
    "daily": lambda time: time.date(),
    "weekly": lambda time: time.strftime("%G-%V"),
    "monthly": lambda time: time.strftime("%Y-%m"),
    "yearly": lambda time: time.year,
}


def local_time(stored: StoredSnapshot) -> datetime:
    """The snapshot's time with its own offset, to the microsecond."""
    return datetime.fromisoformat(stored.snapshot.time)


def back(time: datetime, span: Span) -> datetime:
    """A span back; a day that the month lacks goes over into the next one."""
    months = time.year * 12 + time.month - 1 - 12 * span.years - span.months
    year, month = divmod(months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    over = max(0, time.day - last)
    there = time.replace(year=year, month=month + 1, day=time.day - over) + timedelta(days=over)
    return there - timedelta(days=span.days, hours=span.hours)


def staying(policy: Policy, group: Sequence[StoredSnapshot], now_ns: int) -> set[bytes]:
    """The ids of those that stay."""
    newest_first = sorted(group, key=lambda stored: (-stored.time_ns, stored.id))
    return {stored.id for stored, _ in kept(policy, newest_first, now_ns)}


def kept(
    policy: Policy, newest_first: Sequence[StoredSnapshot], now_ns: int
) -> Iterator[tuple[StoredSnapshot, str]]:
    """Each snapshot and each word of a rule that keeps it."""
    for stored in newest_first[: len(newest_first) if policy.last < 0 else policy.last]:
        yield stored, "last"
    for tags in policy.tags:
        for stored in newest_first:
            if set(tags) <= set(stored.snapshot.tags or ()):
                yield stored, "tags"
    past = [stored for stored in newest_first if parse_time(stored.snapshot.time) < now_ns]
    for word, period in PERIODS.items():
        yield from _of_periods(newest_first, getattr(policy, word), period)
        span = getattr(policy, f"within_{word}")
        if span:
            since = back(local_time(past[0]), span) if past else datetime.min.replace(tzinfo=UTC)
            late = [stored for stored in newest_first if local_time(stored) > since]
            yield from ((stored, word) for stored in _newest_of_each(late, period))
            if late and late[-1] is newest_first[-1]:
                yield late[-1], f"oldest {word}"
    if policy.within:
        since = back(local_time(past[0]), policy.within) if past else datetime.min.replace(tzinfo=UTC)
        yield from ((stored, "within") for stored in newest_first if local_time(stored) > since)


def _of_periods(
    newest_first: Sequence[StoredSnapshot], count: int, period: Callable[[datetime], Hashable]
) -> Iterator[tuple[StoredSnapshot, str]]:
    if not count:
        return
    newest = _newest_of_each(newest_first, period)
    for stored in newest if count < 0 else newest[:count]:
        yield stored, "period"
    if newest and (count < 0 or len(newest) < count):
        yield newest_first[-1], "oldest"


def _newest_of_each(
    newest_first: Sequence[StoredSnapshot], period: Callable[[datetime], Hashable]
) -> list[StoredSnapshot]:
    """Runs, not sets: a clock of another time zone may come back to an hour that was left."""
    return [next(run) for _, run in groupby(newest_first, key=lambda stored: period(local_time(stored)))]
