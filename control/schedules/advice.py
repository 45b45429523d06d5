"""Advises on a source: strategy, schedules and retention, with reasons and cost. Pure, from facts and wishes.

On a store that keeps each block once, a strategy decides what is read and how far a mistake reaches, and hardly what is
stored: see docs/strategies.md for the measurement.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from holdfast.units import counted, format_bytes

DAY_S: Final = 86_400.0
_WEEK_DAYS: Final = 7
_INTERVALS_S: Final = (900.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0, 21_600.0, 43_200.0, DAY_S)
_MUCH_CHANGE: Final = 0.5
_CHEAP_FULL_S: Final = 300.0
_FORGETTING: Final = 'cron = "0 5 * * *"'
"""Of this source alone: a schedule of the repository would apply every policy of it."""
_ASSUMED_BYTES_PER_S: Final = 100 * (1 << 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A source as measured, and by what (origin). None stands for what no run told.

    changed_bytes_per_day: size of the files that change. added_bytes_per_day: what that adds to the repository.
    """

    bytes_total: int
    files: int
    changed_bytes_per_day: float
    origin: str
    added_bytes_per_day: float | None = None
    read_bytes_per_s: float | None = None
    restore_bytes_per_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """How sensitive the source is. rpo_s: how much work may be lost. rto_s: how long a restore may take, if stated."""

    rpo_s: float = DAY_S
    rto_s: float | None = None
    critical: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedSchedule:
    """One schedule: its strategy, when in the words of holdfast.toml, and how often in a week."""

    name: str
    strategy: str
    when: str
    per_week: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """The proposal. Cost per week: bytes read from the source, bytes added to the repository, seconds of reading."""

    schedules: tuple[ProposedSchedule, ...]
    retention: tuple[str, ...]
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    read_bytes_per_week: int
    added_bytes_per_week: int
    seconds_per_week: float
    full_restore_s: float

    def toml(self, source: str) -> str:
        """The proposal as it goes into holdfast.toml."""
        tables = [
            f'[[sources.{source}.schedules]]\nname = "{schedule.name}"\nstrategy = "{schedule.strategy}"\n'
            f"{schedule.when}\n"
            for schedule in self.schedules
        ]
        tables.append(f'[[sources.{source}.schedules]]\nkind = "retention"\n{_FORGETTING}\n')
        return "\n".join([*tables, f"[sources.{source}.retention]\n{chr(10).join(self.retention)}\n"])


def advise(facts: Facts, wishes: Wishes) -> Advice:
    """The proposal for a source."""
    share = facts.changed_bytes_per_day / facts.bytes_total if facts.bytes_total else 0.0
    rate = facts.read_bytes_per_s or _ASSUMED_BYTES_PER_S
    full_s = facts.bytes_total / rate
    measured = (
        f"{facts.origin}: {format_bytes(facts.bytes_total)} in {counted(facts.files, 'file')}, "
        f"{share:.1%} of the bytes lie in files that change in a day"
    )
    reasons = [measured]
    schedules = _schedules(wishes, share, full_s, reasons)
    fulls = sum(schedule.per_week for schedule in schedules if schedule.strategy == "full")
    others = [schedule for schedule in schedules if schedule.strategy != "full"]
    # An incremental run reads what changed since the one before it; a differential one, on average, half a week's.
    read = fulls * facts.bytes_total
    for schedule in others:
        days = (
            _WEEK_DAYS / 2 if schedule.strategy == "differential" else _WEEK_DAYS / max(schedule.per_week, 1)
        )
        read += schedule.per_week * min(facts.bytes_total, facts.changed_bytes_per_day * days)
    added = facts.changed_bytes_per_day if facts.added_bytes_per_day is None else facts.added_bytes_per_day
    restore_s = facts.bytes_total / (facts.restore_bytes_per_s or _ASSUMED_BYTES_PER_S)
    return Advice(
        schedules=tuple(schedules),
        retention=_retention(wishes),
        reasons=tuple(reasons),
        warnings=tuple(_warnings(facts, wishes, full_s, restore_s)),
        read_bytes_per_week=round(read),
        added_bytes_per_week=round(_WEEK_DAYS * added),
        seconds_per_week=read / rate,
        full_restore_s=restore_s,
    )


def _schedules(wishes: Wishes, share: float, full_s: float, reasons: list[str]) -> list[ProposedSchedule]:
    every_s = _interval(wishes.rpo_s)
    if share > _MUCH_CHANGE:
        reasons.append("most of it changes daily: a full backup reads little more than an incremental one")
        found = [
            ProposedSchedule(name="nightly", strategy="full", when='cron = "0 3 * * *"', per_week=_WEEK_DAYS)
        ]
    elif full_s <= _CHEAP_FULL_S or wishes.critical:
        why = "it is critical" if full_s > _CHEAP_FULL_S else "reading everything takes minutes"
        reasons.append(
            f"a full backup each week, since {why}: it notices what a changed time does not tell, and mends"
        )
        found = [
            ProposedSchedule(
                name="weekly",
                strategy="full",
                when='calendar = { day_of_week = "sun", hour = 3 }',
                per_week=1,
            )
        ]
        if wishes.critical:
            reasons.append(
                "differential each night: what an incremental run overlooked is not passed on by the next"
            )
            found.append(
                ProposedSchedule(
                    name="nightly", strategy="differential", when='cron = "0 3 * * mon-sat"', per_week=6
                )
            )
    else:
        reasons.append("a full backup each month: reading everything takes long, and little of it changes")
        found = [
            ProposedSchedule(
                name="monthly",
                strategy="full",
                when="calendar = { day_of_month = 1, hour = 3 }",
                per_week=12 / 52,
            )
        ]
    if every_s < DAY_S or (len(found) < 2 and found[0].name != "nightly"):
        runs = _WEEK_DAYS * DAY_S / every_s
        reasons.append(
            f"incremental every {_span(every_s)}: half of the {_span(wishes.rpo_s)} that may be lost, so that one "
            "run may fail"
        )
        found.append(
            ProposedSchedule(
                name="often", strategy="incremental", when=f'every = "{_span(every_s)}"', per_week=runs
            )
        )
    return found


def _warnings(facts: Facts, wishes: Wishes, full_s: float, restore_s: float) -> Sequence[str]:
    found = []
    if wishes.rpo_s < 2 * _INTERVALS_S[0]:
        found.append(
            "schedules alone do not reach that RPO: add a table `watch` to the source, with quiet and min_interval"
        )
    if wishes.rto_s is not None and restore_s > wishes.rto_s:
        found.append(
            f"restoring everything takes about {_span(restore_s)}, longer than the RTO: split the source, restore "
            "what matters first, or use faster storage"
        )
    if facts.read_bytes_per_s is None:
        found.append("no run has told how fast this host reads; 100 MiB/s are assumed")
    if full_s > DAY_S:
        found.append(f"a full backup takes about {_span(full_s)}")
    return found


def _retention(wishes: Wishes) -> tuple[str, ...]:
    if wishes.critical:
        return ("keep_hourly = 48", "keep_daily = 30", "keep_weekly = 12", "keep_monthly = 24")
    return ("keep_last = 24", "keep_daily = 14", "keep_weekly = 8", "keep_monthly = 12")


def _interval(rpo_s: float) -> float:
    fitting = [interval for interval in _INTERVALS_S if interval <= rpo_s / 2]
    return fitting[-1] if fitting else _INTERVALS_S[0]


def _span(seconds: float) -> str:
    """Hours, minutes or seconds as holdfast.toml has them."""
    for unit, size in (("d", DAY_S), ("h", 3_600.0), ("m", 60.0)):
        if seconds >= size and (seconds % size == 0 or seconds >= 10 * size):
            return f"{round(seconds / size)}{unit}"
    return f"{round(seconds / 60)}m" if seconds >= 600 else f"{round(seconds)}s"
