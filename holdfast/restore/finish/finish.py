"""Completes the tree once all shards are done: large files, links, special files, deletions, directories.

One pass over the plan in walk order. A directory is left after everything below it, so that is where it is deleted from
(if asked), swept of temporary files, and given its attributes; nothing changes in it afterwards. Every step finds out
whether it was done before: a second finish changes nothing.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from holdfast.errors import HoldfastError, SnapshotNotFoundError
from holdfast.file_list import FileAction, FileRecord
from holdfast.format.tree import Node
from holdfast.ids import BlobId
from holdfast.repository.documents import load
from holdfast.restore.documents import (
    FINISHED,
    Enter,
    FinishResult,
    Kept,
    Large,
    Link,
    Outcome,
    Special,
)
from holdfast.restore.finish.coverage import Covered
from holdfast.restore.finish.deletion import Deletion
from holdfast.restore.finish.steps import FinishSteps, Step
from holdfast.restore.os_failures import flush, path_failure
from holdfast.restore.outcomes import ACTIONS
from holdfast.restore.plan.reader import PlacedRecord, placed_records
from holdfast.restore.plan.selection import Selection
from holdfast.restore.rules import Rules
from holdfast.restore.run import Finished, RestoreRun
from holdfast.restore.target import open_target
from holdfast.runs.attempts import Attempt, any_repeated
from holdfast.runs.opening import conclude
from holdfast.runs.parts import PartWriter, read_parts
from holdfast.runs.plan import Leave
from holdfast.runs.progress import Progress
from holdfast.safe_fs.attributes import is_expected
from holdfast.safe_fs.directories import Directories, Directory, join
from holdfast.terms import RestoreTotals

_CHECK_EVERY: Final = 1_024
_RECORDS: Final = msgspec.msgpack.Decoder(list[FileRecord])
_SCOPE: Final = "finish"
_NOBODY_VOUCHES: Final = (
    "nothing is deleted: the snapshot does not say which directories were read whole "
    "(restic or an earlier Holdfast wrote it, or it was changed since)"
)


def finish(run: RestoreRun, pages: int, shards: int, progress: Progress) -> Finished:
    """Complete the tree; idempotent. In a dry run it only finds out what `delete` would remove.

    Raises:
        StorageFullError: the target is full.
        FencedError: a newer attempt has taken over.
        RunStateError: a page or a shard's result is missing.
    """
    result = load(run.workspace, FINISHED, FinishResult)
    if result is None:
        _check_selected(run, pages)
        attempt = Attempt(run.workspace, _SCOPE)
        attempt.claim()
        finishing = _Finish(run, attempt, progress)
        result = finishing.dry_run(pages) if run.options.dry_run else finishing.execute(pages, shards)
        attempt.check()
        result = conclude(run.workspace, FINISHED, result)
    partial = result.errors_of_run > 0 or result.incomplete_of_run > 0
    return Finished(partial=partial, errors_of_run=result.errors_of_run, counts=result.counts)


def _check_selected(run: RestoreRun, pages: int) -> None:
    """Refuse to call it a restore when nothing was selected.

    Raises:
        SnapshotNotFoundError: patterns or paths left nothing.
    """
    if not Selection(run.options, run.opening.only).is_filtered:
        return
    found = run.plan.pages(pages)
    if not any(page.broken or page.counts.files or page.counts.dirs or page.counts.others for page in found):
        raise SnapshotNotFoundError(
            "nothing in the snapshot matches what was asked for: nothing was restored",
            hint="`holdfast ls` shows what the snapshot holds; patterns and paths begin with / at its root, "
            "or at the subfolder that was named.",
        )


def finish_records(run: RestoreRun) -> Iterator[FileRecord]:
    """What the finish that stands did, path by path (from "/" at the target); nothing before there was one."""
    result = load(run.workspace, FINISHED, FinishResult)
    if result is not None:
        for part in read_parts(run.workspace, [(_folder(result.token), result.parts)], _RECORDS):
            yield from part or ()


def _folder(token: str) -> str:
    return f"finish/{token}"


class _Finish:
    """One attempt at the finish."""

    def __init__(self, run: RestoreRun, attempt: Attempt, progress: Progress) -> None:
        self._run = run
        self._attempt = attempt
        self._progress = progress
        self._opening = run.opening
        self._records = PartWriter[FileRecord](run.workspace, _folder(attempt.token), run.sizes.part_records)
        self._seen = 0
        self._written = self._kept = self._skipped = self._deleted = self._errors = 0
        self._incomplete = self._incomplete_before = 0
        self._missing: set[int] = set()
        self._single: dict[int, bytes] = {}
        """The outcomes of shards of one file, segments of large files among them."""
        self._open: list[Enter] = []
        self._deletion: Deletion | None = None
        self._covered: Covered | None = None

    def execute(self, pages: int, shards: int) -> FinishResult:
        """Complete what the shards have begun."""
        earlier_errors = self._planned_errors(pages) + self._learn_from_shards(shards)
        sweeping = any_repeated(self._run.workspace)
        with FinishSteps(self._run, self._attempt.token, self._single) as steps:
            self._begin_deletion(steps.directories)
            for placed in placed_records(self._run, pages):
                self._on_entry()
                self._take(steps, placed, sweeping=sweeping)
            self._delete(b"", BlobId(self._opening.tree))
            self._leave(steps, b"", self._opening.root, self._opening.kept, sweeping=sweeping)
            flush(steps.file_systems)
        return self._result(earlier_errors)

    def dry_run(self, pages: int) -> FinishResult:
        """Only find out what would be deleted."""
        errors = self._planned_errors(pages)
        directories = open_target(self._opening.target)
        if directories is None or not self._run.options.delete:
            return self._result(errors)
        with directories:
            self._begin_deletion(directories)
            for placed in placed_records(self._run, pages):
                self._on_entry()
                match placed.record:
                    case Enter() as record:
                        self._open.append(record)
                        self._enter_covered(directories, placed.directory, record)
                    case Leave():
                        self._delete_below(placed.directory, self._open.pop().node)
                    case _:
                        pass
            self._delete(b"", BlobId(self._opening.tree))
        return self._result(errors)

    def _result(self, earlier_errors: int) -> FinishResult:
        self._records.flush()
        return FinishResult(
            token=self._attempt.token,
            parts=self._records.parts,
            counts=RestoreTotals(
                files_written=self._written,
                files_kept=self._kept,
                files_skipped=self._skipped,
                files_deleted=self._deleted,
                errors=self._errors,
                incomplete=self._incomplete,
            ),
            errors_of_run=earlier_errors + self._errors,
            incomplete_of_run=self._incomplete_before + self._incomplete,
        )

    def _planned_errors(self, pages: int) -> int:
        return sum(page.counts.errors for page in self._run.plan.pages(pages))

    def _learn_from_shards(self, shards: int) -> int:
        """Which files are not there, so that nothing is linked to them; how many paths failed."""
        errors = 0
        for shard, result in enumerate(self._run.plan.results(shards)):
            errors += result.counts.errors
            if len(result.outcomes) == 1:
                self._single[shard] = result.outcomes
            self._incomplete_before += result.counts.incomplete
            if Outcome.FAILED in result.outcomes or Outcome.SKIPPED in result.outcomes:
                for file, letter in zip(self._run.plan.shard(shard).files, result.outcomes, strict=True):
                    if letter in Outcome.FAILED + Outcome.SKIPPED:
                        self._missing.add(file.number)
        return errors

    def _begin_deletion(self, directories: Directories) -> None:
        """Nothing is deleted unless that was asked for, and the snapshot says what it covers."""
        if not self._run.options.delete:
            return
        coverage = self._opening.coverage
        if not coverage.vouched:
            self._warn(b"", (_NOBODY_VOUCHES,))
            return
        self._deletion = Deletion(self._run, self._opening, directories, self._on_entry)
        root_leads = Rules(self._run, self._opening).root_leads
        self._covered = Covered(coverage, root_leads, directories.open(b""))

    def _enter_covered(self, directories: Directories, path: bytes, record: Enter) -> None:
        if self._covered is None:
            return
        directory: Directory | None = None
        if not record.obstacle or not self._run.options.dry_run:
            if record.link:
                directories.will_follow((path,))
            with contextlib.suppress(OSError, HoldfastError):
                directory = directories.open(path)
        self._covered.enter(record, directory)

    def _take(self, steps: FinishSteps, placed: PlacedRecord, *, sweeping: bool) -> None:
        record, directory = placed.record, placed.directory
        try:
            match record:
                case Enter():
                    self._open.append(record)
                    try:
                        steps.enter(directory, record)
                    finally:
                        self._enter_covered(steps.directories, directory, record)
                case Leave():
                    entered = self._open.pop()
                    self._delete_below(directory, entered.node)
                    self._leave(steps, directory, entered.node, entered.kept, sweeping=sweeping)
                case Special():
                    self._missing.add(record.number)
                    step = steps.special(directory, record)
                    if step.outcome != Outcome.SKIPPED:
                        self._missing.discard(record.number)
                    self._note(join(directory, record.node.name), step, counts=False)
                case Large():
                    self._take_large(steps, directory, record)
                case Link() if record.of in self._missing:
                    self._fail(
                        join(directory, record.name), "the file that it is another name of was not restored"
                    )
                case Link():
                    step = steps.link(directory, record)
                    self._note(join(directory, record.name), step, record.size)
                case _:
                    pass
        except (OSError, HoldfastError) as error:
            name = record.name if isinstance(record, Link) else _node_name(record)
            self._fail(join(directory, name) if name else directory, path_failure(error))

    def _take_large(self, steps: FinishSteps, directory: bytes, record: Large) -> None:
        self._missing.add(record.number)
        step = steps.large(directory, record)
        if step.outcome not in (Outcome.FAILED, Outcome.SKIPPED):
            self._missing.discard(record.number)
        if step.outcome == Outcome.FAILED:
            # The segment that failed has recorded why.
            return
        self._note(join(directory, record.node.name), step, record.size)

    def _leave(
        self, steps: FinishSteps, path: bytes, node: Node | None, kept: Kept | None, *, sweeping: bool
    ) -> None:
        try:
            warnings = steps.leave(path, node, kept, sweeping=sweeping)
        except (OSError, HoldfastError) as error:
            self._fail(path, path_failure(error))
            return
        self._warn(path, warnings)

    def _delete_below(self, path: bytes, node: Node) -> None:
        if node.subtree_id is not None:
            self._delete(path, node.subtree_id)
        if self._covered is not None:
            self._covered.leave()

    def _delete(self, path: bytes, tree: BlobId) -> None:
        if self._deletion is None or self._covered is None or not self._covered.may_delete:
            return
        try:
            for deleted in self._deletion.in_directory(path, tree):
                if deleted.failure:
                    self._fail(deleted.path, f"cannot be deleted: {deleted.failure}")
                    continue
                self._deleted += deleted.is_file
                self._record(deleted.path, FileAction.DELETED, deleted.size)
        except FileNotFoundError:
            return
        except (OSError, HoldfastError) as error:
            self._fail(path, path_failure(error))

    def _note(self, path: bytes, step: Step, size: int = 0, *, counts: bool = True) -> None:
        """Record what became of a path; `counts` when it is a file."""
        self._written += counts and step.outcome == Outcome.RESTORED
        self._kept += counts and step.outcome in (Outcome.UNCHANGED, Outcome.UPDATED)
        self._skipped += step.outcome == Outcome.SKIPPED
        self._record(path, ACTIONS[step.outcome], size)
        self._warn(path, step.warnings)

    def _warn(self, path: bytes, warnings: Sequence[str]) -> None:
        """Something of this path could not be restored."""
        self._incomplete += not all(map(is_expected, warnings))
        for warning in warnings:
            self._record(path, FileAction.WARNING, message=warning)

    def _fail(self, path: bytes, message: str) -> None:
        self._errors += 1
        self._record(path, FileAction.FAILED, message=message)

    def _record(self, path: bytes, action: FileAction, size: int = 0, message: str = "") -> None:
        record = FileRecord(path=b"/" + path, action=action, size_bytes=size, message=message)
        self._records.add((record,))

    def _on_entry(self) -> None:
        self._seen += 1
        if self._seen % _CHECK_EVERY == 0:
            self._progress(self._seen, 0)
            self._run.held.check_lock()
            self._attempt.check()


def _node_name(record: object) -> bytes:
    return record.node.name if isinstance(record, Special | Large) else b""
