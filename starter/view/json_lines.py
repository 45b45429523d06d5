"""Messages for programs, in restic's words (its manual, "Scripting"), with what we have beyond them at the end."""

from collections.abc import Iterable, Mapping
from typing import Final

from contracts.backup import BackupResult
from contracts.drill import DrillResult
from contracts.restore import RestoreResult
from contracts.system import SystemResult
from contracts.verbs import Result
from contracts.verify import VerifyResult
from control.progress import RunView
from holdfast.file_list import FileAction, FileRecord
from holdfast.format.times import format_time
from holdfast.terms import RunKind
from holdfast.units import NS_PER_S
from starter.shell.text import json_text
from starter.view.meter import Reading
from starter.view.verdicts import system_summary

Message = dict[str, object]

_ERRORS: Final[Mapping[RunKind, str]] = {
    RunKind.BACKUP: "archival",
    RunKind.RESTORE: "restore",
    RunKind.VERIFY: "verify",
    RunKind.DRILL: "restore",
}
_ACTIONS: Final[Mapping[FileAction, str]] = {
    FileAction.NEW: "new",
    FileAction.CHANGED: "modified",
    FileAction.RESTORED: "restored",
    FileAction.UPDATED: "updated",
    FileAction.UNCHANGED: "unchanged",
    FileAction.SKIPPED: "unchanged",
    FileAction.DELETED: "deleted",
}


def status(kind: RunKind, view: RunView, reading: Reading) -> Message:
    """A `status` line; totals grow while the walk goes on."""
    progress = view.progress
    message: Message = {"message_type": "status", "seconds_elapsed": round(reading.elapsed_s)}
    if kind is RunKind.BACKUP and reading.seconds_left is not None:
        message["seconds_remaining"] = round(reading.seconds_left)
    message["percent_done"] = reading.fraction
    if progress is not None:
        done = (
            ("files_restored", "bytes_restored") if kind is RunKind.RESTORE else ("files_done", "bytes_done")
        )
        message |= {
            "total_files": progress.files_total,
            done[0]: progress.files_done,
            "total_bytes": progress.bytes_total,
            done[1]: progress.bytes_done,
            "error_count": progress.errors,
        }
    message["phase"] = view.phase.value
    return message


def note(text: str) -> Message:
    """Something that happened to the run itself."""
    return {"message_type": "note", "message": text}


def summary(result: Result) -> Message:
    """The last line."""
    match result:
        case BackupResult():
            return _backup_summary(result)
        case RestoreResult():
            return _restore_summary(result)
        case VerifyResult():
            return _verify_summary(result)
        case DrillResult():
            return _drill_summary(result)
        case SystemResult():
            return system_summary(result)


def _backup_summary(result: BackupResult) -> Message:
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
        "tree_blobs": result.tree_blobs,
        "data_added": result.data_added,
        "data_added_packed": result.data_added_packed,
        "total_files_processed": result.files,
        "total_bytes_processed": result.bytes_total,
        "total_duration": _seconds(result),
        "backup_start": format_time(result.started_ns),
        "backup_end": format_time(result.ended_ns),
        "snapshot_id": result.snapshot_id,
        "run_id": result.run_id,
        "status": result.status.value,
        "strategy": result.strategy.value,
        "bytes_read": stored.bytes_read,
        "bytes_reread": stored.bytes_reread,
        "resumed_from_checkpoint": stored.checkpoints_resumed > 0,
        "checkpoints_resumed": stored.checkpoints_resumed,
        "error_count": result.errors,
        **_verified(result),
    }


def _restore_summary(result: RestoreResult) -> Message:
    totals = result.totals
    return {
        "message_type": "summary",
        "seconds_elapsed": round(_seconds(result)),
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
        **_verified(result),
    }


def _verify_summary(result: VerifyResult) -> Message:
    found = result.finished
    message: Message = {
        "message_type": "summary",
        "num_errors": 0 if found is None else found.verdict.problems,
        "run_id": result.run_id,
        "status": result.status.value,
        "share": result.share,
        "seconds_elapsed": round(_seconds(result)),
        "packs_of_repository": result.packs_of_repository,
        **_verified(result),
    }
    if found is not None:
        message |= {
            "blobs": found.verdict.blobs,
            "packs": found.verdict.packs,
            "files": found.verdict.files,
            "bytes_read": found.verdict.bytes_read,
            "damaged_packs": found.damaged_packs,
            "damaged_blobs": found.damaged_blobs,
            "mended_packs": found.mended_packs,
            "lost_paths": found.lost_paths,
            "affected_snapshots": list(found.first_affected),
        }
    return message


def _drill_summary(result: DrillResult) -> Message:
    found, opened, restored = result.findings, result.opened, result.restored
    return {
        "message_type": "summary",
        "run_id": result.run_id,
        "status": result.status.value,
        "source": opened.source,
        "sample": opened.sample,
        "seed": opened.seed,
        "snapshot_id": opened.snapshot_id,
        "proven": found.proven,
        "rto_met": found.rto_met,
        "rpo_met": found.rpo_met,
        "recovery_seconds": found.recovery_ns / NS_PER_S,
        "estimated_recovery_seconds": found.estimated_recovery_ns / NS_PER_S,
        "data_age_seconds": found.data_age_ns / NS_PER_S,
        "check_exit_code": None if result.checked is None else result.checked.exit_code,
        "files_restored": 0 if restored is None else restored.totals.files_written,
        "bytes_restored": 0 if restored is None else restored.totals.bytes_written,
        "error_count": 0 if restored is None else restored.totals.errors,
    }


def actions(files: Iterable[FileRecord]) -> Iterable[Message]:
    """A `verbose_status` line for each path: what became of it, or would."""
    for file in files:
        action = _ACTIONS.get(file.action)
        if action is not None:
            yield {
                "message_type": "verbose_status",
                "action": action,
                "item": json_text(file.path),
                "size": file.size_bytes,
            }


def file_error(kind: RunKind, file: FileRecord) -> Message:
    """An `error` line: one path that went wrong."""
    return {
        "message_type": "error",
        "error": {"message": file.message or file.action.value},
        "during": _ERRORS[kind],
        "item": json_text(file.path),
    }


def _verified(result: Result) -> Message:
    verdict = result.verdict
    if verdict is None:
        return {}
    return {"verified": verdict.level.value, "verified_ok": verdict.ok}


def _seconds(result: Result) -> float:
    return max(0, result.ended_ns - result.started_ns) / NS_PER_S
