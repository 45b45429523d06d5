"""Reads a plan back: its records with their paths, and its shards' files with what became of them."""

from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.errors import RunStateError
from holdfast.repository.documents import load
from holdfast.restore.documents import (
    Enter,
    Leave,
    PlanPart,
    PlanRecord,
    ShardResult,
    part_name,
    shard_name,
)
from holdfast.restore.run import RestoreRun
from holdfast.restore.select import load_page
from holdfast.restore.shard import load_shard
from holdfast.restore.shard_files import PlannedFile, files_of
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
    for record in plan_records(run, pages):
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


def plan_records(run: RestoreRun, pages: int) -> Iterator[PlanRecord]:
    """The same without their directories."""
    for number in range(pages):
        page = load_page(run, number)
        for part in range(page.parts):
            document = load(run.workspace, part_name(number, page.token, part), PlanPart)
            if document is None:
                raise RunStateError(f"part {part} of page {number} of the restore's plan is not there")
            yield from document.records


def load_result(run: RestoreRun, shard: int) -> ShardResult:
    """The result of a shard.

    Raises:
        RunStateError: it has not been restored.
    """
    result = load(run.workspace, shard_name(shard, "result"), ShardResult)
    if result is None:
        raise RunStateError(f"shard {shard} of the restore has not been restored")
    return result


def planned_files(run: RestoreRun, shard: int, *, done: bool = True) -> Iterator[PlannedFile]:
    """The files of a shard in walk order; with their outcomes, where it is done.

    Raises:
        RunStateError: its plan is not there, or its result where it should be.
    """
    plan = load_shard(run, shard)
    if not done:
        return files_of(plan, b"", ())
    result = load_result(run, shard)
    return files_of(plan, result.outcomes, result.problems)
