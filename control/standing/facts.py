"""Gathers what the journal knows of sources, by a few queries for all of them together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from holdfast.control.drills import is_proof
from holdfast.control.standing.state import Subject, Verified
from holdfast.service.journal.records import Added, RunRecord
from holdfast.terms import RunKind, RunStatus, VerifyLevel
from holdfast.units import NS_PER_S

if TYPE_CHECKING:
    from holdfast.service.journal.journal import Journal  # it brings SQLAlchemy, and a quarter of a second

SHARE: Final = "share"
"""The level of a verification of the repository that read a part of its packs."""
_LEVELS: Final = (VerifyLevel.STRUCTURE.value, VerifyLevel.WRITTEN.value, SHARE, VerifyLevel.FULL.value)
_ALL: Final = "all"
_GOOD: Final = frozenset((RunStatus.COMPLETE, RunStatus.PARTIAL))
_LOOKED_AT: Final = 1_000
_DAY_NS: Final = 86_400 * NS_PER_S
_WEEK_NS: Final = 7 * _DAY_NS
GROWTH_SPAN_NS: Final = 4 * _WEEK_NS
"""Growth is that of the last four weeks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What the journal knows: of each subject its newest good backup, and the newest start of any; and so on.

    verifications: by repository. proofs: by repository and source. A subject that was never tried stands in none.
    """

    good: Mapping[Subject, RunRecord] = field(default_factory=dict)
    newest_ns: Mapping[Subject, int] = field(default_factory=dict)
    failures: Mapping[Subject, Sequence[RunRecord]] = field(default_factory=dict)
    verifications: Mapping[str, Verified] = field(default_factory=dict)
    proofs: Mapping[tuple[str, str], RunRecord] = field(default_factory=dict)
    growth: Mapping[Subject, int] = field(default_factory=dict)

    def verified(self, subject: Subject) -> Verified | None:
        """The strongest verification of what a subject has: its newest good backup's own, or one of its repository."""
        good = self.good.get(subject)
        if good is None:
            return None
        found = [self.verifications.get(subject.repository)]
        if good.verdict is not None and good.verdict.level in _LEVELS:
            found.append(Verified(level=good.verdict.level, at_ns=good.started_ns))
        return strongest(filter(None, found))


def recorded(journal: "Journal", now_ns: int) -> Recorded:
    """Ask the journal.

    Raises:
        JournalUnavailableError: it cannot be read.
    """
    good: dict[Subject, RunRecord] = {}
    failed: dict[Subject, RunRecord] = {}
    newest_ns: dict[Subject, int] = {}
    for run in journal.newest_of_each(RunKind.BACKUP):
        subject = Subject(run.repository, run.source, run.host)
        newest_ns[subject] = max(run.started_ns, newest_ns.get(subject, 0))
        if run.status is RunStatus.FAILED:
            failed[subject] = run
        elif run.status in _GOOD and run.started_ns > _started(good.get(subject)):
            good[subject] = run
    failures = {
        subject: _failures(journal, subject, _started(good.get(subject)))
        for subject, run in failed.items()
        if run.started_ns > _started(good.get(subject))
    }
    verifications = journal.runs(_LOOKED_AT, kind=RunKind.VERIFY, statuses=_GOOD)
    return Recorded(
        good=good,
        newest_ns=newest_ns,
        failures=failures,
        verifications=_verifications(verifications),
        proofs=_proofs(journal.runs(_LOOKED_AT, kind=RunKind.DRILL, statuses=_GOOD)),
        growth=growth(journal.added(now_ns - GROWTH_SPAN_NS)),
    )


def strongest(found: Iterable[Verified]) -> Verified | None:
    """The one that read most, the newest of those; None of none."""
    return max(found, key=lambda one: (_LEVELS.index(one.level), one.at_ns), default=None)


def growth(added: Iterable[Added]) -> dict[Subject, int]:
    """Bytes per week that each subject adds to its repository, of backups that lie at least a day apart, oldest first.

    The oldest is where the span begins: what it added had come before.
    """
    by_subject: dict[Subject, list[Added]] = {}
    for one in added:
        by_subject.setdefault(Subject(one.repository, one.source, one.host), []).append(one)
    found: dict[Subject, int] = {}
    for subject, backups in by_subject.items():
        span_ns = backups[-1].started_ns - backups[0].started_ns
        if span_ns >= _DAY_NS:
            found[subject] = sum(one.added_bytes for one in backups[1:]) * _WEEK_NS // span_ns
    return found


def _started(run: RunRecord | None) -> int:
    return 0 if run is None else run.started_ns


def _failures(journal: "Journal", subject: Subject, since_ns: int) -> list[RunRecord]:
    return journal.runs(
        _LOOKED_AT,
        source=subject.source,
        repositories=[subject.repository],
        host=subject.host,
        kind=RunKind.BACKUP,
        statuses=[RunStatus.FAILED],
        since_ns=since_ns,
    )


def _verifications(runs: Sequence[RunRecord]) -> dict[str, Verified]:
    """Of each repository the strongest verification of all its snapshots that found nothing."""
    found: dict[str, Verified] = {}
    for run in runs:
        if run.source or run.verdict is None or not run.verdict.ok:
            continue
        level = VerifyLevel.FULL.value if run.strategy == _ALL else SHARE
        one = Verified(level=level, at_ns=run.started_ns)
        found[run.repository] = strongest(filter(None, (found.get(run.repository), one))) or one
    return found


def _proofs(drills: Sequence[RunRecord]) -> dict[tuple[str, str], RunRecord]:
    proofs: dict[tuple[str, str], RunRecord] = {}
    for run in drills:
        if is_proof(run):
            proofs.setdefault((run.repository, run.source), run)
    return proofs
