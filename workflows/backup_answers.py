"""A backup says of itself, out of what it carries: its counts, its plan, its errors, its result."""

from dataclasses import replace

from holdfast.contracts.backup import BackupProgress, BackupRequest, BackupResult, Committed
from holdfast.contracts.common import Ending, Errors, Phase, Plan, Progress, Verdict
from holdfast.terms import RunStatus
from holdfast.workflows.run_id import attempt_id, began_by


def counts_of(progress: BackupProgress, committed: Committed | None, phase: Phase) -> Progress:
    """Say how far it has come."""
    selected, stored = progress.selected, progress.stored
    known = selected.bytes_total - selected.bytes_to_read
    return Progress(
        run_id=attempt_id(),
        phase=phase,
        selection_complete=progress.selection_complete,
        files_total=selected.files_new + selected.files_changed + selected.files_unmodified,
        files_done=selected.files_unmodified + stored.files,
        bytes_total=selected.bytes_total,
        bytes_done=min(selected.bytes_total, known + stored.bytes_read - stored.bytes_reread),
        shards_total=progress.shards_planned,
        shards_done=progress.shards_done,
        errors=selected.errors + stored.errors,
        snapshot_id="" if committed is None else committed.snapshot_id,
    )


def plan_of(progress: BackupProgress) -> Plan:
    """Say what it has decided to do so far."""
    opened, selected = progress.opened, progress.selected
    return Plan(
        strategy="" if opened is None else opened.strategy.value,
        reason="" if opened is None else opened.reason,
        parent="" if opened is None else opened.parent,
        selection_complete=progress.selection_complete,
        pages=progress.pages_done,
        shards=progress.shards_planned,
        files=selected.files_new + selected.files_changed + selected.files_unmodified,
        files_to_move=selected.files_to_read,
        bytes_to_move=selected.bytes_to_read,
    )


def errors_of(progress: BackupProgress, verdict: Verdict | None) -> Errors:
    """Count what went wrong so far."""
    return Errors(
        selecting=progress.selected.errors,
        moving=progress.stored.errors,
        warnings=progress.selected.warnings + progress.stored.warnings,
        problems=0 if verdict is None else verdict.problems,
    )


def result_of(
    request: BackupRequest,
    progress: BackupProgress,
    committed: Committed | None,
    verdict: Verdict | None,
    ending: Ending,
) -> BackupResult:
    """The result. A run that was cancelled has no snapshot, even where that was written already."""
    opened = progress.opened
    result = BackupResult(
        run_id=attempt_id(),
        began=began_by(progress.run_id),
        status=ending.status,
        parent="" if opened is None else opened.parent,
        strategy=request.strategy if opened is None else opened.strategy,
        reason="" if opened is None else opened.reason,
        started_ns=progress.started_ns,
        ended_ns=ending.ended_ns,
        selected=progress.selected,
        stored=progress.stored,
        verdict=verdict,
        hooks=progress.hooks,
    )
    if committed is None or ending.status is RunStatus.CANCELLED:
        return result
    totals = committed.totals.with_data(progress.stored)
    return replace(result, snapshot_id=committed.snapshot_id, totals=totals)
