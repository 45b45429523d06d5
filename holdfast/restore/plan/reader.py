"""Reads a plan back: its records with their paths, and a shard's files with what became of them."""

from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.restore.documents import Enter, PlanRecord
from holdfast.restore.run import RestoreRun
from holdfast.runs.plan import Leave
from holdfast.safe_fs.directories import join


@dataclass(frozen=True, slots=True)
class PlacedRecord:
    """A record and the directory it stands in; for Enter and Leave that directory itself."""

    directory: bytes
    record: PlanRecord


def placed_records(run: RestoreRun, pages: int) -> Iterator[PlacedRecord]:
    """All plan records in walk order.

    Raises:
        RunStateError: a page or a part of it is not there.
    """
    directory = b""
    lengths: list[int] = []
    for record in run.plan.records(run.plan.pages(pages)):
        match record:
            case Enter():
                lengths.append(len(directory))
                directory = join(directory, record.node.name)
                yield PlacedRecord(directory, record)
            case Leave():
                yield PlacedRecord(directory, record)
                directory = directory[: lengths.pop()]
            case _:
                yield PlacedRecord(directory, record)
