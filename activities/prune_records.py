"""The journal's records of prunes say what was to go, what went, and for how long others stood aside."""

from dataclasses import asdict, replace

from holdfast.activities.records import run_record
from holdfast.contracts.prune import DRY_RUN, PruneLogInput, PrunePlanned, PruneTriggerInput
from holdfast.service.journal.records import RunRecord, counters_of
from holdfast.terms import RunKind

_OF_PLANS = ("shards", "last", "ask")


def begun(message: PruneTriggerInput, *, host: str) -> RunRecord:
    """The first record of a prune. Its strategy says whether it only plans."""
    record = run_record(message.run, RunKind.PRUNE, message.request, host, message.started_ns)
    return replace(record, strategy=DRY_RUN if message.request.dry_run else "")


def ended(message: PruneLogInput, *, host: str) -> RunRecord:
    """The record of a prune that ended, however it did. Its reason: who approved the plan, and why."""
    request, progress = message.request, message.progress
    counters = counters_of(progress.totals)
    if progress.plan is not None:
        counters |= _planned(progress.plan)
    if progress.switched is not None:
        counters |= {f"short_part_{name}": count for name, count in asdict(progress.switched).items()}
    record = run_record(message.run, RunKind.PRUNE, request, host, progress.started_ns, message.ending)
    return replace(
        record, strategy=DRY_RUN if request.dry_run else "", reason=message.decided, counters=counters
    )


def _planned(plan: PrunePlanned) -> dict[str, int]:
    return {f"plan_{name}": count for name, count in asdict(plan).items() if name not in _OF_PLANS}
