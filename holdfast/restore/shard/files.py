"""The files of a shard with their paths and what became of them, and what the journal gets to know of that.

A shard's part of the log is encoded where the shard ends: on every core at once, while its files are in memory, and not
once more for all of them when the run does nothing else.
"""

from collections.abc import Iterator

import msgspec

from holdfast.file_list import FileAction, FileRecord
from holdfast.restore.documents import FilePlan, Outcome, Problem, ShardPlan
from holdfast.restore.outcomes import ACTIONS
from holdfast.restore.plan.writer import front_decode
from holdfast.safe_fs.directories import join


class PlannedFile(msgspec.Struct, frozen=True, gc=False):
    """A file of a shard. outcome: a letter of Outcome, empty where the shard has not run (a dry run)."""

    path: bytes
    plan: FilePlan
    outcome: bytes
    problems: tuple[Problem, ...]


def placed_files(plan: ShardPlan) -> Iterator[tuple[bytes, FilePlan]]:
    """The files in walk order, each with the path of its directory."""
    paths = front_decode(plan.directories)
    directory, position = b"", -1
    for file in plan.files:
        while position < file.directory:
            directory = next(paths)
            position += 1
        yield directory, file


def files_of(plan: ShardPlan, outcomes: bytes, problems: tuple[Problem, ...]) -> Iterator[PlannedFile]:
    """The files in walk order; outcomes: a letter for each, or nothing where the shard has not run."""
    problems_of: dict[int, list[Problem]] = {}
    for problem in problems:
        problems_of.setdefault(problem.index, []).append(problem)
    for index, (directory, file) in enumerate(placed_files(plan)):
        yield PlannedFile(
            path=join(directory, file.node.name),
            plan=file,
            outcome=outcomes[index : index + 1],
            problems=tuple(problems_of.get(index, ())),
        )


def log_of(file: PlannedFile) -> Iterator[FileRecord]:
    """What the journal gets to know of a file; nothing of one that was equal. Paths begin with "/" at the target."""
    path = b"/" + file.path
    for problem in file.problems:
        action = FileAction.WARNING if problem.warning else FileAction.FAILED
        yield FileRecord(path=path, action=action, size_bytes=file.plan.size, message=problem.message)
    if file.outcome in (Outcome.RESTORED, Outcome.UPDATED, Outcome.SKIPPED):
        yield FileRecord(path=path, action=ACTIONS[file.outcome], size_bytes=file.plan.size)
