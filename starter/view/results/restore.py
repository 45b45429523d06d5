"""Tells how a restore ended: restic's summary, and what was not restored whole."""

from holdfast.contracts.restore import RestoreResult
from holdfast.starter.view.results.words import Message, Words, seconds, took, verdict, verified
from holdfast.units import counted, format_bytes


def words(result: RestoreResult) -> Words:
    """What is told of it."""
    return Words(
        lines=_lines(result),
        summary=_summary(result),
        during="restore",
        ahead=result.ahead,
        taken=result.snapshot_id,
        dry_run=result.dry_run,
    )


def _lines(result: RestoreResult) -> list[str]:
    """restic's summary."""
    totals = result.totals
    said = ["", *(_would_be(result) if result.dry_run else _was(result))]
    if totals.errors:
        said.append(f"Warning: {counted(totals.errors, 'path')} could not be restored")
    if totals.incomplete:
        what = counted(totals.incomplete, "path was", "paths were")
        said.append(f"Warning: {what} not restored with all that belongs there")
    return said


def _would_be(result: RestoreResult) -> list[str]:
    totals = result.totals
    looked = f"looked at {counted(totals.files, 'file')}, {format_bytes(totals.bytes_total)}"
    said = [f"{looked}: would write {format_bytes(totals.bytes_to_write)}"]
    if totals.files_skipped or totals.files_deleted:
        said.append(f"would skip {totals.files_skipped:,}, would delete {totals.files_deleted:,}")
    return [*said, f"nothing was written: a dry run of snapshot {result.snapshot_id[:8]}"]


def _was(result: RestoreResult) -> list[str]:
    totals = result.totals
    said = [
        f"restored {totals.files_written:,} of {counted(totals.files, 'file')}",
        f"wrote {format_bytes(totals.bytes_written)} of {format_bytes(totals.bytes_total)} in {took(result)}",
        f"snapshot {result.snapshot_id[:8]} restored{verified(result)}",
    ]
    if totals.files_skipped or totals.files_deleted:
        said.append(f"skipped {totals.files_skipped:,}, deleted {totals.files_deleted:,}")
    return said


def _summary(result: RestoreResult) -> Message:
    """restic's last line, and what we have beyond it."""
    totals = result.totals
    return {
        "message_type": "summary",
        "seconds_elapsed": round(seconds(result)),
        "total_files": totals.files + totals.dirs + totals.others,
        "files_restored": totals.files_written,
        "files_skipped": totals.files_skipped,
        "files_deleted": totals.files_deleted,
        "total_bytes": totals.bytes_total,
        "bytes_restored": totals.bytes_written,
        "bytes_skipped": max(0, totals.bytes_total - totals.bytes_written),
        "snapshot_id": result.snapshot_id,
        "run_id": result.run_id,
        "status": result.status.value,
        "error_count": totals.errors,
        **verdict(result),
    }
