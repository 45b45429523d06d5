"""The files of a restore for the journal, and the list of actions of a dry run."""

from collections.abc import Iterator

from holdfast.journal.records import FileAction, FileRecord
from holdfast.restore.documents import (
    Failed,
    Large,
    Link,
    Outcome,
    Skipped,
    Special,
)
from holdfast.restore.finish import finish_records
from holdfast.restore.outcomes import ACTIONS, EXPECTED
from holdfast.restore.plan_reader import PlacedRecord, PlannedFile, placed_records, planned_files
from holdfast.restore.run import RestoreRun
from holdfast.safe_fs.directories import join


def file_records(run: RestoreRun, pages: int, shards: int) -> Iterator[FileRecord]:
    """Every file of the run with what became of it (or would, in a dry run); paths begin with "/" at the target.

    First what the plan says, then the shards' files, then what the finish did. Files that were equal are left out
    after a restore and listed by a dry run: they are what did not happen.

    Raises:
        RunStateError: a document of the plan is gone, or a shard has not been restored.
    """
    dry_run = run.options.dry_run
    for placed in placed_records(run, pages):
        yield from _of_record(placed, dry_run=dry_run)
    for shard in range(shards):
        for file in planned_files(run, shard, done=not dry_run):
            yield from _of_dry_file(file) if dry_run else _of_file(file)
    yield from _of_finish(run)


def _of_record(placed: PlacedRecord, *, dry_run: bool) -> Iterator[FileRecord]:
    record = placed.record
    match record:
        case Failed():
            yield FileRecord(path=b"/" + record.path, action=FileAction.FAILED, message=record.message)
        case Skipped():
            yield _record(placed, record.name, FileAction.SKIPPED, record.size)
        case Link() if dry_run:
            yield _record(placed, record.name, FileAction.RESTORED, record.size)
        case Special() if dry_run:
            yield _record(placed, record.node.name, FileAction.RESTORED, 0)
        case Large() if dry_run:
            yield _record(placed, record.node.name, EXPECTED[record.expected], record.size)
        case _:
            return


def _record(placed: PlacedRecord, name: bytes, action: FileAction, size: int) -> FileRecord:
    return FileRecord(path=b"/" + join(placed.directory, name), action=action, size_bytes=size)


def _of_dry_file(file: PlannedFile) -> Iterator[FileRecord]:
    if file.plan.segments == 1:
        action = EXPECTED[file.plan.expected]
        yield FileRecord(path=b"/" + file.path, action=action, size_bytes=file.plan.size)


def _of_file(file: PlannedFile) -> Iterator[FileRecord]:
    path = b"/" + file.path
    for problem in file.problems:
        action = FileAction.WARNING if problem.warning else FileAction.FAILED
        yield FileRecord(path=path, action=action, size_bytes=file.plan.size, message=problem.message)
    if file.outcome in (Outcome.RESTORED, Outcome.UPDATED, Outcome.SKIPPED):
        yield FileRecord(path=path, action=ACTIONS[file.outcome], size_bytes=file.plan.size)


def _of_finish(run: RestoreRun) -> Iterator[FileRecord]:
    for record in finish_records(run):
        if record.action is not FileAction.UNCHANGED:
            yield FileRecord(
                path=b"/" + record.path, action=record.action, size_bytes=record.size, message=record.message
            )
