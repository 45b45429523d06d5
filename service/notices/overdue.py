"""Which sources have gone too long without a good backup, and whom to remind of it when: pure, from times."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from holdfast.service.journal.journal import Journal
from holdfast.terms import RunKind, RunStatus
from holdfast.units import NS_PER_S

REMIND_AFTER_S: Final = 86_400
_GOOD: Final = (RunStatus.COMPLETE, RunStatus.PARTIAL)
_LOOKED_AT: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A source and the age that its newest good backup may have. newest_ns: when that began, None without one."""

    source: str
    max_age_s: float
    newest_ns: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What is overdue, and what to remember for the next look.

    due: to be told now. told: when each overdue source was told of last. seen: when each source was looked at first,
    which is what a source without any backup is measured from.
    """

    due: tuple[Watched, ...]
    told: Mapping[str, int]
    seen: Mapping[str, int]


def newest_good_backup(journal: Journal, *, source: str, repository: str, host: str) -> int | None:
    """When the newest backup began that has a snapshot in which no verification found damage; None without one.

    Raises:
        JournalUnavailableError: the journal cannot be read.
    """
    newest = journal.runs(
        _LOOKED_AT, source=source, repositories=[repository], host=host, kind=RunKind.BACKUP, statuses=_GOOD
    )
    good = (run.started_ns for run in newest if run.verdict is None or run.verdict.ok)
    return next(good, None)


def look(
    watched: Iterable[Watched], *, told: Mapping[str, int], seen: Mapping[str, int], now_ns: int
) -> Findings:
    """Compare ages with what they may be. Each overdue source is told of once, and again each day that it stays so."""
    due: list[Watched] = []
    told_now: dict[str, int] = {}
    seen_now: dict[str, int] = {}
    for source in watched:
        seen_now[source.source] = seen.get(source.source, now_ns)
        since_ns = seen_now[source.source] if source.newest_ns is None else source.newest_ns
        if now_ns - since_ns <= source.max_age_s * NS_PER_S:
            continue
        before_ns = told.get(source.source)
        if before_ns is None or now_ns - before_ns >= REMIND_AFTER_S * NS_PER_S:
            due.append(source)
            before_ns = now_ns
        told_now[source.source] = before_ns
    return Findings(due=tuple(due), told=told_now, seen=seen_now)
