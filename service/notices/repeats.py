"""Says whether a failure is news: the same one again is told of once a day, with its count.

A source whose disk is away fails as often as its schedule comes; a hundred equal notices hide the one that is new.
"""

from collections.abc import Sequence
from typing import Final

from holdfast.service.journal.reasons import is_sound
from holdfast.service.journal.records import RunRecord
from holdfast.service.notices.overdue import REMIND_AFTER_S
from holdfast.terms import RunStatus
from holdfast.units import NS_PER_S

LOOKED_AT: Final = 1_000
"""Earlier runs of the subject that are read: of a schedule that comes every minute, most of a day."""


def streak(run: RunRecord, earlier: Sequence[RunRecord]) -> list[RunRecord]:
    """The runs before this one, newest first, that failed for the same reason, without a good one in between.

    earlier: of the same kind, source, repository and host, newest first. One that a person stopped says nothing.
    """
    found: list[RunRecord] = []
    for other in earlier:
        if other.status in {RunStatus.CANCELLED, RunStatus.RUNNING}:
            continue
        if other.status is not RunStatus.FAILED or not _is_same(run, other):
            break
        found.append(other)
    return found


def is_news(run: RunRecord, before: Sequence[RunRecord]) -> bool:
    """Whether a failure is to be told of: the first of its streak, and the first of each day of it."""
    if not before:
        return True
    began_ns = before[-1].started_ns
    day_ns = REMIND_AFTER_S * NS_PER_S
    return (run.started_ns - began_ns) // day_ns > (before[0].started_ns - began_ns) // day_ns


def _is_same(run: RunRecord, other: RunRecord) -> bool:
    """By the kind of the error: its words may name another file each time. Damage that was found is always news."""
    return is_sound(run) and bool(run.failure_kind) and other.failure_kind == run.failure_kind
