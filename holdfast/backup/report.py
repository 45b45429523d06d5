"""What a run has done: each file, for the journal (unchanged ones are only counted), and the packs that it wrote."""

from collections.abc import Iterator

from holdfast.backup.commit.plan_reader import PlanReader, ReadOutcome
from holdfast.backup.documents import CommitResult, Enter, Failed, Keep, Remark, Stored, Unreadable
from holdfast.backup.run import BackupRun
from holdfast.file_list import FileAction, FileRecord
from holdfast.ids import PackId
from holdfast.repository.documents import load
from holdfast.runs.plan import Leave


def written_packs(run: BackupRun) -> set[PackId]:
    """Data and tree packs of a run that was committed: what level "written" of a verification reads back."""
    committed = load(run.workspace, run.name("committed"), CommitResult)
    return set() if committed is None else set(map(PackId, committed.packs))


def file_records(run: BackupRun, pages: int, shards: int) -> Iterator[FileRecord]:
    """The files of a run in walk order, as its plan and its shards' results tell them.

    Raises:
        RunStateError: the plan or a result is gone (a run that failed early has none).
        CorruptFileError: a document cannot be read.
    """
    path: list[bytes] = []
    prefix: bytes | None = None  # of the names in the innermost directory, once one is asked for
    reader = PlanReader(run, pages, shards)
    for record in reader.merged():
        match record:
            case ReadOutcome():
                if prefix is None:
                    prefix = b"".join([b"/", *(name + b"/" for name in path)])
                yield _of_file(prefix + record.plan.name, record)
            case Enter():
                path.append(record.node.name)
                prefix = None
            case Leave():
                path.pop()
                prefix = None
            case Unreadable():
                yield FileRecord(path=record.path, action=FileAction.UNREADABLE, message=record.message)
            case Remark():
                yield FileRecord(path=record.path, action=FileAction.WARNING, message=record.message)
            case Keep():
                pass
            case _:
                pass


def _of_file(path: bytes, record: ReadOutcome) -> FileRecord:
    action = FileAction.CHANGED if record.plan.known else FileAction.NEW
    first = record.outcomes[0]
    if len(record.outcomes) == 1 and type(first) is Stored and not first.warning:
        return FileRecord(path=path, action=action, size_bytes=first.size_bytes)
    failures = [outcome.message for outcome in record.outcomes if isinstance(outcome, Failed)]
    if failures:
        return FileRecord(path=path, action=FileAction.UNREADABLE, message=failures[0])
    stored = [outcome for outcome in record.outcomes if isinstance(outcome, Stored)]
    warnings = [outcome.warning for outcome in stored if outcome.warning]
    size = sum(outcome.size_bytes for outcome in stored)
    if warnings:
        return FileRecord(path=path, action=FileAction.WARNING, size_bytes=size, message=warnings[0])
    return FileRecord(path=path, action=action, size_bytes=size)
