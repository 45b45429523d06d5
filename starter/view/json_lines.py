"""Makes messages for programs, in restic's words (its manual, "Scripting"), ours at their end."""

from collections.abc import Iterable, Mapping
from typing import Final

from holdfast.control.progress import RunView
from holdfast.file_list import FileAction, FileRecord
from holdfast.starter.shell.text import json_text
from holdfast.starter.view.meter import Reading
from holdfast.starter.view.results.words import Message
from holdfast.terms import RunKind

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
    if view.wait is not None:
        message["waits_for"] = view.wait.document
    return message


def note(text: str) -> Message:
    """Something that happened to the run itself."""
    return {"message_type": "note", "message": text}


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


def file_error(during: str, file: FileRecord) -> Message:
    """An `error` line: one path that went wrong. during: the verb, in restic's words."""
    return {
        "message_type": "error",
        "error": {"message": file.message or file.action.value},
        "during": during,
        "item": json_text(file.path),
    }
