"""A restore says of itself, out of what it carries: its counts, its plan, its errors, its result."""

from holdfast.contracts.common import Ending, Errors, Phase, Plan, Progress, Verdict
from holdfast.contracts.restore import RestoreProgress, RestoreResult
from holdfast.workflows.run_id import attempt_id, began_by


def counts_of(progress: RestoreProgress, phase: Phase) -> Progress:
    """Say how far it has come."""
    opened, totals = progress.opened, progress.totals
    return Progress(
        run_id=attempt_id(),
        phase=phase,
        selection_complete=progress.selection_complete,
        files_total=totals.files,
        files_done=min(totals.files, totals.files_written + totals.files_kept + totals.files_skipped),
        bytes_total=totals.bytes_to_write,
        bytes_done=min(totals.bytes_to_write, totals.bytes_written),
        shards_total=progress.shards_planned,
        shards_done=progress.shards_done,
        errors=totals.errors,
        snapshot_id="" if opened is None else opened.snapshot_id,
    )


def plan_of(progress: RestoreProgress) -> Plan:
    """Say what it has decided to do so far."""
    opened, totals = progress.opened, progress.totals
    return Plan(
        snapshot_id="" if opened is None else opened.snapshot_id,
        selection_complete=progress.selection_complete,
        pages=progress.pages_done,
        shards=progress.shards_planned,
        files=totals.files,
        files_to_move=max(0, totals.files - totals.files_skipped),
        bytes_to_move=totals.bytes_to_write,
        dry_run=opened is not None and opened.dry_run,
    )


def errors_of(progress: RestoreProgress, verdict: Verdict | None) -> Errors:
    """Count what went wrong so far; what could not be planned counts with what could not be written."""
    return Errors(moving=progress.totals.errors, problems=0 if verdict is None else verdict.problems)


def result_of(progress: RestoreProgress, verdict: Verdict | None, ending: Ending) -> RestoreResult:
    """The result, also of one that was cancelled."""
    opened = progress.opened
    return RestoreResult(
        run_id=attempt_id(),
        began=began_by(progress.run_id),
        status=ending.status,
        snapshot_id="" if opened is None else opened.snapshot_id,
        started_ns=progress.started_ns,
        ended_ns=ending.ended_ns,
        totals=progress.totals,
        verdict=verdict,
        ahead=() if opened is None else opened.ahead,
    )
