"""Says which sources drills have proven restorable, from the journal's records."""

from collections.abc import Sequence

from holdfast.service.journal.proofs import PROVEN
from holdfast.service.journal.records import RunRecord
from holdfast.service.settings.model import Settings
from holdfast.terms import RunStatus


def is_proof(run: RunRecord) -> bool:
    """Whether a drill has proven its source restorable, goals aside."""
    return run.status is RunStatus.COMPLETE and run.counters.get(PROVEN, 0) == 1


def last_proofs(drills: Sequence[RunRecord]) -> dict[str, RunRecord]:
    """Of each source the newest drill that proves it; `drills` begins with the newest."""
    proofs: dict[str, RunRecord] = {}
    for run in drills:
        if is_proof(run):
            proofs.setdefault(run.source, run)
    return proofs


def unproven(settings: Settings, drills: Sequence[RunRecord]) -> list[str]:
    """The sources of the settings that no drill has proven restorable."""
    proven = last_proofs(drills)
    return [name for name in settings.sources if name not in proven]


def outcome(run: RunRecord) -> str:
    """How a drill ended, in a few words."""
    if run.status is RunStatus.RUNNING:
        return "running"
    if run.status is not RunStatus.COMPLETE:
        return f"{run.status.value} ({run.failure_kind})" if run.failure_kind else run.status.value
    if not is_proof(run):
        return "NOT PROVEN"
    missed = [goal.upper() for goal in ("rto", "rpo") if run.counters.get(f"{goal}_met") == 0]
    return f"proven, {' and '.join(missed)} MISSED" if missed else "proven"
