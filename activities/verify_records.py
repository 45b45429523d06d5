"""The journal's records of verifications say what was read, and what is lost."""

from collections.abc import Iterator
from dataclasses import replace

from holdfast.activities.records import run_record
from holdfast.contracts.verify import VerifyLogInput, VerifyTriggerInput
from holdfast.file_list import FileAction, FileRecord
from holdfast.service.journal.records import RunRecord, counters_of
from holdfast.terms import RunKind
from holdfast.verify.documents import Report


def begun(message: VerifyTriggerInput, *, host: str) -> RunRecord:
    """The first record of a verification. Its source is the selection, its strategy the share that is read."""
    record = run_record(message.run, RunKind.VERIFY, message.request, host, message.started_ns)
    return replace(record, strategy=message.request.share)


def ended(message: VerifyLogInput, *, host: str) -> RunRecord:
    """The record of a verification that ended, however it did."""
    request, progress, finished = message.request, message.progress, message.finished
    counters = counters_of(progress.totals)
    if progress.plan is not None:
        counters |= {
            "shards": progress.plan.shards,
            "packs_planned": progress.plan.packs,
            "bytes_planned": progress.plan.bytes_total,
            "packs_of_repository": progress.plan.packs_of_repository,
        }
    if finished is not None:
        counters |= {
            "damaged_packs": finished.damaged_packs,
            "damaged_blobs": finished.damaged_blobs,
            "mended_packs": finished.mended_packs,
            "lost_paths": finished.lost_paths,
            "affected_snapshots": finished.affected_snapshots,
        }
    record = run_record(message.run, RunKind.VERIFY, request, host, progress.started_ns, message.ending)
    return replace(record, strategy=request.share, counters=counters)


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
