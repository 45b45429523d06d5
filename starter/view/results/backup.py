"""Tells how a backup ended: restic's summary, and what we have beyond it."""

from holdfast.contracts.backup import BackupResult
from holdfast.format.times import format_time
from holdfast.starter.view.results.words import Message, Words, seconds, took, verdict, verified
from holdfast.terms import RunStatus
from holdfast.units import counted, format_bytes


def words(result: BackupResult) -> Words:
    """What is told of it. Paths that were stored with a warning are told too."""
    return Words(
        lines=_lines(result),
        summary=_summary(result),
        during="archival",
        paths=bool(result.selected.warnings or result.stored.warnings),
        dry_run=result.is_dry,
        hooks=result.hooks,
    )


def _lines(result: BackupResult) -> list[str]:
    """restic's summary, and what a person wants to know of an interrupted run."""
    selected, stored = result.selected, result.stored
    files = counted(result.totals.files, "file")
    said = [
        "",
        _three("Files", selected.files_new, selected.files_changed, selected.files_unmodified),
        _three("Dirs", selected.dirs_new, selected.dirs_changed, selected.dirs_unmodified),
        _added(result),
        "",
        f"processed {files}, {format_bytes(result.totals.bytes_total)} in {took(result)}",
    ]
    if stored.checkpoints_resumed:
        said.append(
            f"went on from {counted(stored.checkpoints_resumed, 'checkpoint')}, "
            f"{format_bytes(stored.bytes_reread)} were read again"
        )
    if not result.is_dry:
        said.append(f"snapshot {result.snapshot_id[:8]} saved{verified(result)}")
    if result.status is RunStatus.PARTIAL:
        is_partial = "would be partial" if result.is_dry else "is partial"
        said.append(
            f"Warning: {counted(result.totals.errors, 'path')} could not be read, or not as a whole; "
            f"the snapshot {is_partial}"
        )
    return said


def _summary(result: BackupResult) -> Message:
    """restic's last line, and what we have beyond it."""
    selected, stored = result.selected, result.stored
    return {
        "message_type": "summary",
        "files_new": selected.files_new,
        "files_changed": selected.files_changed,
        "files_unmodified": selected.files_unmodified,
        "dirs_new": selected.dirs_new,
        "dirs_changed": selected.dirs_changed,
        "dirs_unmodified": selected.dirs_unmodified,
        "data_blobs": stored.data_blobs,
        "tree_blobs": result.totals.tree_blobs,
        "data_added": result.totals.data_added,
        "data_added_packed": result.totals.data_added_packed,
        "total_files_processed": result.totals.files,
        "total_bytes_processed": result.totals.bytes_total,
        "total_duration": seconds(result),
        "backup_start": format_time(result.started_ns),
        "backup_end": format_time(result.ended_ns),
        **(
            {"dry_run": True}
            if result.is_dry
            else {"snapshot_id": result.snapshot_id, "run_id": result.run_id}
        ),
        "status": result.status.value,
        "strategy": result.strategy.value,
        "bytes_read": stored.bytes_read,
        "bytes_reread": stored.bytes_reread,
        "resumed_from_checkpoint": stored.checkpoints_resumed > 0,
        "checkpoints_resumed": stored.checkpoints_resumed,
        "error_count": result.totals.errors,
        **verdict(result),
    }


def _added(result: BackupResult) -> str:
    stored = format_bytes(result.totals.data_added_packed)
    done = "Would be added" if result.is_dry else "Added"
    return f"{done} to the repository: {format_bytes(result.totals.data_added)} ({stored} stored)"


def _three(name: str, new: int, changed: int, unmodified: int) -> str:
    return f"{name + ':':<12} {new:>5,} new, {changed:>5,} changed, {unmodified:>5,} unmodified"
