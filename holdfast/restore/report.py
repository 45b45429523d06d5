"""The files of a restore for the journal, and the list of actions of a dry run."""

from collections.abc import Iterator
from itertools import chain

from holdfast.file_list import Chunk, FileAction, FileRecord, encode_chunks
from holdfast.restore.documents import (
    Failed,
    Large,
    Link,
    Replaced,
    Skipped,
    Special,
)
from holdfast.restore.finish.finish import finish_records
from holdfast.restore.outcomes import EXPECTED
from holdfast.restore.plan.reader import PlacedRecord, placed_records
from holdfast.restore.run import RestoreRun
from holdfast.restore.shard.files import PlannedFile, files_of
from holdfast.safe_fs.directories import join


def file_chunks(run: RestoreRun, pages: int, shards: int) -> Iterator[Chunk]:
    """Every file of the run with what became of it (or would, in a dry run); paths begin with "/" at the target.

    First what the plan says, then the shards' files, then what the finish did. Files that were equal are left out
    after a restore and listed by a dry run: they are what did not happen.

    Raises:
        RunStateError: a document of the plan is gone, or a shard has not been restored.
    """
    yield from encode_chunks(
        chain.from_iterable(_of_record(run, placed) for placed in placed_records(run, pages))
    )
    if run.options.dry_run:
        for plan in run.plan.shard_plans(run.plan.pages(pages)):
            yield from encode_chunks(chain.from_iterable(map(_of_dry_file, files_of(plan, b"", ()))))
    else:
        for result in run.plan.results(shards):  # each has encoded its files itself
            yield from result.log
    finished = (record for record in finish_records(run) if record.action is not FileAction.UNCHANGED)
    yield from encode_chunks(finished)


def _of_record(run: RestoreRun, placed: PlacedRecord) -> Iterator[FileRecord]:
    record, dry_run = placed.record, run.options.dry_run
    match record:
        case Failed():
            yield FileRecord(path=b"/" + record.path, action=FileAction.FAILED, message=record.message)
        case Replaced():
            yield FileRecord(
                path=b"/" + record.path,
                action=FileAction.DELETED,
                size_bytes=record.size,
                message=record.message,
            )
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
