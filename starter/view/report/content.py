"""What a report says, gathered from the journal; plain values, so that two journals that hold the same say the same."""

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from holdfast.control import records
from holdfast.control.names import location_of, subject_of
from holdfast.file_list import FileAction, FileRecord
from holdfast.service.journal.journal import Journal
from holdfast.service.journal.reasons import Reason
from holdfast.service.journal.records import OutputRecord, RunRecord
from holdfast.service.settings.model import Settings
from holdfast.terms import RunStatus

MAX_RUNS: Final = 60
MAX_PROBLEMS: Final = 200
MAX_LARGEST: Final = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSummary:
    """A run's files: how many of each action and their bytes, the largest ones, and those that went wrong (capped)."""

    counts: Mapping[FileAction, int]
    sizes: Mapping[FileAction, int]
    largest: Sequence[FileRecord]
    wrong: Sequence[FileRecord]
    wrong_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportContent:
    """One run, its files and hooks, and the runs of the same source up to it, oldest first. Names as people know them.

    reason: why it did not end well, and what can be done; None where it did.
    """

    run: RunRecord
    subject: str
    repository: str
    files: FileSummary
    history: Sequence[RunRecord]
    hooks: Sequence[OutputRecord] = ()
    reason: Reason | None = None


def gather(settings: Settings, journal: Journal, run: RunRecord) -> ReportContent:
    """Read it all. Time grows with the number of the run's files; memory does not.

    Raises:
        JournalUnavailableError: the journal cannot be read.
    """
    earlier = journal.runs(
        MAX_RUNS,
        source=run.source,
        repositories=[run.repository],
        host=run.host,
        kind=run.kind,
        statuses=[status for status in RunStatus if status is not RunStatus.RUNNING],
        before_ns=run.started_ns + 1,
    )
    history = earlier[::-1] if any(other.run_id == run.run_id for other in earlier) else [*earlier[::-1], run]
    hooks = journal.outputs(run.run_id)
    return ReportContent(
        run=run,
        subject=subject_of(settings, run.kind, run.source, run.repository),
        repository=location_of(settings, run.repository),
        files=_summary(journal.files(run.run_id)),
        history=history[-MAX_RUNS:],
        hooks=hooks,
        reason=records.why(settings, run, hooks),
    )


def _summary(files: Iterable[FileRecord]) -> FileSummary:
    counts: Counter[FileAction] = Counter()
    sizes: Counter[FileAction] = Counter()
    largest: list[tuple[int, bytes, FileAction]] = []
    wrong: list[FileRecord] = []
    wrong_count = 0
    for file in files:
        counts[file.action] += 1
        sizes[file.action] += file.size_bytes
        if file.action in records.TOLD_ACTIONS:
            wrong_count += 1
            if len(wrong) < MAX_PROBLEMS:
                wrong.append(file)
        elif len(largest) < MAX_LARGEST:
            heapq.heappush(largest, (file.size_bytes, file.path, file.action))
        elif file.size_bytes > largest[0][0]:
            heapq.heapreplace(largest, (file.size_bytes, file.path, file.action))
    return FileSummary(
        counts=counts,
        sizes=sizes,
        largest=[
            FileRecord(path=path, action=action, size_bytes=size)
            for size, path, action in sorted(largest, key=lambda entry: (-entry[0], entry[1]))
        ],
        wrong=wrong,
        wrong_count=wrong_count,
    )
