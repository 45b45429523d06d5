"""What the journal gets of a verification."""

from collections.abc import Iterator
from dataclasses import fields

from activities.records import asked_by, backup_verdict, request_text, resumed_by
from contracts.verify import VerifyLogInput, VerifyTriggerInput
from holdfast.file_list import FileAction, FileRecord
from holdfast.terms import RunKind, RunStatus, VerifyLevel
from holdfast.verify.documents import Report
from service.journal.records import RunRecord, VerdictRecord


def begun(message: VerifyTriggerInput, *, host: str) -> RunRecord:
    """The first record of a verification. Its source is the selection, its strategy the share that is read."""
    request = message.request
    record = RunRecord(
        run_id=message.run.record_id,
        resumes=resumed_by(message.run),
        kind=RunKind.VERIFY,
        status=RunStatus.RUNNING,
        repository=request.repository,
        source=request.selection,
        host=host,
        strategy=request.share,
        started_ns=message.started_ns,
        request=request_text(request),
    )
    return asked_by(record, request.trigger)


def ended(message: VerifyLogInput, *, host: str) -> RunRecord:
    """The record of a verification that ended, however it did."""
    counters = {field.name: getattr(message.totals, field.name) for field in fields(message.totals)}
    if message.plan is not None:
        counters |= {
            "shards": message.plan.shards,
            "packs_planned": message.plan.packs,
            "bytes_planned": message.plan.bytes_total,
            "packs_of_repository": message.plan.packs_of_repository,
        }
    finished = message.finished
    if finished is not None:
        counters |= {
            "damaged_packs": finished.damaged_packs,
            "damaged_blobs": finished.damaged_blobs,
            "mended_packs": finished.mended_packs,
            "lost_paths": finished.lost_paths,
            "affected_snapshots": finished.affected_snapshots,
        }
    record = RunRecord(
        run_id=message.run.record_id,
        resumes=resumed_by(message.run),
        kind=RunKind.VERIFY,
        status=message.status,
        repository=message.request.repository,
        source=message.request.selection,
        host=host,
        strategy=message.request.share,
        started_ns=message.started_ns,
        ended_ns=message.ended_ns,
        counters=counters,
        failure_kind=message.failure_kind,
        failure_message=message.failure_message,
        request=request_text(message.request),
    )
    return asked_by(record, message.request.trigger)


def verdict(report: Report, level: VerifyLevel) -> VerdictRecord:
    """What was found, with the first of the findings."""
    return backup_verdict(report.as_verify_report(level))


def lost_files(report: Report) -> Iterator[FileRecord]:
    """The paths that cannot be had whole."""
    for lost in report.lost:
        others = lost.snapshots - 1
        more = f" and {others:,} older snapshots" if others else ""
        what = "with all below it, tree" if lost.whole else "blob"
        yield FileRecord(
            path=lost.path,
            action=FileAction.DAMAGED,
            size_bytes=lost.size_bytes,
            message=f"lost in snapshot {lost.newest}{more}: {what} {lost.blob[:8]} is damaged or missing",
        )
