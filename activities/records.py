"""What the journal gets: messages of the workflows turned into its records."""

from dataclasses import fields, replace
from typing import Final

import msgspec

from contracts.backup import BackupRequest, LogInput, SelectionTotals, StoredTotals, TriggerInput
from contracts.common import RunRef, Trigger
from contracts.restore import RestoreLogInput, RestoreRequest, RestoreTotals, RestoreTriggerInput
from contracts.verify import VerifyRequest
from holdfast.backup.opening import RunOpening
from holdfast.ids import to_hex
from holdfast.restore.documents import Opening
from holdfast.restore.run import VerifyReport as RestoreVerifyReport
from holdfast.terms import RunKind, RunStatus
from holdfast.verify.report import VerifyReport
from service.journal.records import RunRecord, VerdictRecord

MAX_PROBLEMS_RECORDED: Final = 1_000


def backup_begun(message: TriggerInput, opening: RunOpening, *, host: str, source_digest: str) -> RunRecord:
    """The first record of a backup."""
    request = message.request
    record = RunRecord(
        run_id=message.run.record_id,
        resumes=resumed_by(message.run),
        kind=RunKind.BACKUP,
        status=RunStatus.RUNNING,
        repository=request.repository,
        source=request.source,
        host=host,
        strategy=opening.strategy,
        reason=opening.reason,
        parent="" if opening.parent is None else to_hex(opening.parent),
        started_ns=opening.started_ns,
        request=request_text(request),
        source_digest=source_digest,
    )
    return asked_by(record, request.trigger)


def backup_ended(message: LogInput, *, host: str) -> RunRecord:
    """The record of a backup that ended, however it did."""
    opened, committed = message.opened, message.committed
    counters = {"pages": message.pages, "shards": message.shards}
    counters |= _counts("selected_", message.selected) | _counts("stored_", message.stored)
    if committed is not None:
        counters |= {
            "files": committed.files,
            "bytes_total": committed.bytes_total,
            "tree_blobs": committed.tree_blobs,
            "data_added": message.stored.data_added + committed.data_added,
            "data_added_packed": message.stored.data_added_packed + committed.data_added_packed,
            "errors": committed.errors,
        }
    record = RunRecord(
        run_id=message.run.record_id,
        resumes=resumed_by(message.run),
        kind=RunKind.BACKUP,
        status=message.status,
        repository=message.request.repository,
        source=message.request.source,
        host=host if opened is None or not opened.host else opened.host,
        strategy=(message.request.strategy if opened is None else opened.strategy).value,
        reason="" if opened is None else opened.reason,
        parent="" if opened is None else opened.parent,
        snapshot_id="" if committed is None else committed.snapshot_id,
        started_ns=message.started_ns,
        ended_ns=message.ended_ns,
        counters=counters,
        failure_kind=message.failure_kind,
        failure_message=message.failure_message,
        request=request_text(message.request),
    )
    return asked_by(record, message.request.trigger)


def restore_begun(message: RestoreTriggerInput, opening: Opening, *, dry_run: bool, host: str) -> RunRecord:
    """The first record of a restore."""
    request = message.request
    record = RunRecord(
        run_id=message.run.record_id,
        resumes=resumed_by(message.run),
        kind=RunKind.DRY_RUN if dry_run else RunKind.RESTORE,
        status=RunStatus.RUNNING,
        repository=request.repository,
        source=request.selection,
        host=host,
        snapshot_id=to_hex(opening.snapshot),
        started_ns=message.started_ns,
        request=request_text(request),
    )
    return asked_by(record, request.trigger)


def restore_ended(message: RestoreLogInput, *, host: str) -> RunRecord:
    """The record of a restore that ended, however it did."""
    counters = {"pages": message.pages, "shards": message.shards} | _counts("", message.totals)
    record = RunRecord(
        run_id=message.run.record_id,
        resumes=resumed_by(message.run),
        kind=RunKind.DRY_RUN if message.opened is not None and message.opened.dry_run else RunKind.RESTORE,
        status=message.status,
        repository=message.request.repository,
        source=message.request.selection,
        host=host,
        snapshot_id="" if message.opened is None else message.opened.snapshot_id,
        started_ns=message.started_ns,
        ended_ns=message.ended_ns,
        counters=counters,
        failure_kind=message.failure_kind,
        failure_message=message.failure_message,
        request=request_text(message.request),
    )
    return asked_by(record, message.request.trigger)


def backup_verdict(report: VerifyReport) -> VerdictRecord:
    """What verifying a snapshot found, with the first of its findings."""
    return VerdictRecord(
        level=report.level.value,
        ok=report.ok,
        blobs=report.blobs,
        packs=report.packs,
        files=report.files,
        bytes_read=report.bytes_read,
        problem_count=report.problem_count,
        problems=tuple(
            _finding(f"{problem.kind.value} {problem.what}", problem.path)
            for problem in report.problems[:MAX_PROBLEMS_RECORDED]
        ),
    )


def restore_verdict(report: RestoreVerifyReport, level: str) -> VerdictRecord:
    """What reading back a restored tree found, with the first of its findings."""
    return VerdictRecord(
        level=level,
        ok=report.ok,
        blobs=report.blobs,
        files=report.files,
        bytes_read=report.bytes_read,
        problem_count=report.problem_count,
        problems=tuple(_finding(what, path) for path, what in report.problems[:MAX_PROBLEMS_RECORDED]),
    )


def _finding(what: str, path: bytes) -> str:
    return f"{what}: {path.decode(errors='backslashreplace')}" if path else what


def request_text(request: BackupRequest | RestoreRequest | VerifyRequest) -> str:
    """What was asked, so that it can be asked again when no server knows it: without what only counts for one run."""
    asked = replace(request, progress=None, resume_run="")
    return msgspec.json.encode(asked).decode()


def resumed_by(run: RunRef) -> str:
    """The run that this attempt resumes; empty for one that begins."""
    return run.run_id if run.attempt else ""


def asked_by(record: RunRecord, trigger: Trigger) -> RunRecord:
    return replace(
        record,
        trigger_kind=trigger.kind.value,
        trigger_by=trigger.by,
        trigger_evidence=trigger.evidence,
    )


def _counts(prefix: str, totals: SelectionTotals | StoredTotals | RestoreTotals) -> dict[str, int]:
    return {prefix + field.name: getattr(totals, field.name) for field in fields(totals)}
