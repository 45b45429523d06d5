"""Reads from the journal's records which people decided what: holds, releases, approvals, forgettings, cancellations.

A pause and a throttle are no decisions that outlast their run: `holdfast status RUN` shows them while it is open.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from holdfast.contracts.common import TriggerKind
from holdfast.service.journal.records import RunRecord
from holdfast.terms import RunKind, RunStatus

_BY_HAND: Final = frozenset((RunKind.FORGET, RunKind.PRUNE, RunKind.REPAIR))
"""What changes a repository is decided by who asks for it."""
_ASKED: Final = frozenset((RunKind.GUARD, RunKind.PRUNE))
"""These ask for approvals, and their records say as their reason who answered, and why."""
_BY: Final = re.compile(r"(?P<what>.*?) ?\bby (?P<by>[^:;]+): (?P<why>[^;]*)")
_AGAINST: Final = re.compile(r"(?P<by>[^:;]+) (?P<what>decided against it): (?P<why>[^;]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One decision. by: a person's name, as it was given. what: in a word or two. why: as that person said."""

    at_ns: int
    by: str
    what: str
    why: str
    run: RunRecord


def decisions(runs: Iterable[RunRecord]) -> Iterator[Decision]:
    """The decisions in these records, in their order."""
    for run in runs:
        if run.status is RunStatus.CANCELLED:
            yield from _said(run, run.failure_message, at_ns=run.ended_ns)
        elif run.kind in _BY_HAND and run.trigger_kind == TriggerKind.PERSON:
            what = run.strategy if run.kind is RunKind.FORGET and run.strategy else run.kind.value
            yield Decision(at_ns=run.started_ns, by=run.trigger_by, what=what, why=run.reason, run=run)
        if run.kind in _ASKED:
            for sentence in run.reason.split("; "):
                yield from _said(run, sentence, at_ns=run.ended_ns or run.started_ns)


def _said(run: RunRecord, sentence: str, *, at_ns: int) -> Iterator[Decision]:
    found = _AGAINST.fullmatch(sentence) or _BY.fullmatch(sentence)
    if found is not None:
        yield Decision(at_ns=at_ns, by=found["by"], what=found["what"], why=found["why"], run=run)
