"""Verify one snapshot at the asked level: structure first, then the packs of that level, read back.

What is damaged gets marked, as by a verification of the whole repository, so that the next full backup mends it.

Reading back is resumable, where there is a run's workspace: packs are taken in the order of their ids, and now and then
a checkpoint says up to which one they were read, and what was found, so that a resumed report lacks none of it.
"""

import asyncio
from collections.abc import Collection
from contextlib import closing
from typing import Final

import msgspec

from holdfast.format.index import BlobType
from holdfast.ids import BlobId, PackId, SnapshotId, from_hex, to_hex
from holdfast.repository.index.map import PackInfo
from holdfast.repository.session import HeldRepository, RepositorySession
from holdfast.repository.snapshots import find_snapshot
from holdfast.runs.attempts import Attempt
from holdfast.runs.progress import Progress
from holdfast.runs.workspace import Workspace
from holdfast.terms import VerifyLevel
from holdfast.verify.lost import find_losses
from holdfast.verify.mend import diagnose_and_mark, without_sound_copy
from holdfast.verify.packs import check_packs
from holdfast.verify.report import PACK_PROBLEMS, Problem, ProblemKind, VerifyReport
from holdfast.verify.structure import check_sizes, check_structure

_SAVE_BYTES: Final = 512 * 1024 * 1024


class _Verified(msgspec.Struct, frozen=True, kw_only=True):
    """Packs up to this one were read back."""

    pack: bytes
    bytes_read: int
    problems: tuple[Problem, ...] = ()


async def verify_snapshot(
    session: RepositorySession,
    snapshot: SnapshotId,
    level: VerifyLevel,
    *,
    workspace: Workspace | None = None,
    written: Collection[PackId] | None = None,
    knows_kept_trees: bool = False,
    progress: Progress = lambda _blobs, _read: None,
) -> VerifyReport:
    """Check a snapshot; damage is in the report.

    workspace: of the run, where a later attempt is to go on.

    written: the packs of the run that verifies itself. Those of earlier runs were seen by its commit, and looked at
    when they were written, so only level "full" reads them. Without it, all that the snapshot needs.

    knows_kept_trees: take subtrees as checked that this process has looked through for a commit under the same index.

    Raises:
        SnapshotNotFoundError: the snapshot is gone.
        LockLostError: packs may have been removed under us, and something is missing.
        StorageUnavailableError, RepositoryLockedError, …: the repository cannot be read just now.
    """
    report = VerifyReport(level=level)
    async with session.holding() as held:
        needed = await asyncio.to_thread(
            _structure, held, snapshot, report, progress, written, known=knows_kept_trees
        )
        chosen = needed if written is None or level is VerifyLevel.FULL else set(written)
        packs = [info for info in map(held.index.pack, chosen) if info is not None]
        marked: set[PackId] = set()
        if level is VerifyLevel.STRUCTURE:
            await asyncio.to_thread(check_sizes, held, packs, report, own=written is not None)
        else:
            report.packs = len(packs)
            marked = chosen & held.index.damage.keys()
            unmarked = [pack for pack in packs if pack.id not in marked]
            attempt = None if workspace is None else Attempt(workspace, f"verify-{level}")
            await asyncio.to_thread(_read_back, held, unmarked, report, attempt, progress)
        if report.problems:
            await asyncio.to_thread(held.confirm)  # what was not there may have been removed under us
    await asyncio.to_thread(_treat, session, snapshot, marked, report, progress)
    return report


def _structure(
    held: HeldRepository,
    snapshot: SnapshotId,
    report: VerifyReport,
    progress: Progress,
    written: Collection[PackId] | None,
    *,
    known: bool,
) -> set[PackId]:
    root = BlobId(from_hex(find_snapshot(held.repository, to_hex(snapshot)).snapshot.tree))
    return check_structure(
        held,
        [root],
        report,
        lambda: progress(report.blobs, report.bytes_read),
        held.whole_trees if known else None,
        from_store=written,
    )


def _treat(
    session: RepositorySession,
    snapshot: SnapshotId,
    marked: Collection[PackId],
    report: VerifyReport,
    progress: Progress,
) -> None:
    """Mark bad packs, look again at those that were marked before, and name the paths that are lost with them."""
    found = _bad_packs(report)
    suspects = found.union(marked)
    if not suspects:
        return
    with session.hold() as held:
        diagnosis = diagnose_and_mark(held, suspects)
    for damaged in diagnosis.damaged:
        if damaged.pack not in found:
            report.add(Problem(kind=ProblemKind.PACK_DAMAGED, what=to_hex(damaged.pack)))
    with session.hold() as held:  # again: the index is loaded with the new marks
        lost = without_sound_copy(held, diagnosis.damaged)
        stored = find_snapshot(held.repository, to_hex(snapshot))
        losses = find_losses(held, [stored], lost, lambda: progress(report.blobs, report.bytes_read))
        held.confirm()
    for path in losses.paths:
        # Lost trees, and what is in no index, have been named by the walk.
        if (BlobId(from_hex(path.blob)), BlobType.DATA) in lost:
            report.add(Problem(kind=ProblemKind.CONTENT_LOST, what=path.blob, path=path.path))


def _bad_packs(report: VerifyReport) -> set[PackId]:
    return {PackId(from_hex(problem.what)) for problem in report.problems if problem.kind in PACK_PROBLEMS}


def _read_back(
    held: HeldRepository,
    chosen: list[PackInfo],
    report: VerifyReport,
    attempt: Attempt | None,
    progress: Progress,
) -> None:
    done = None if attempt is None else attempt.resume(_Verified, lambda _: b"")
    if done is not None:
        report.bytes_read = done.bytes_read
        for problem in done.problems:
            report.add(problem)
    packs = sorted((pack for pack in chosen if done is None or pack.id > done.pack), key=lambda pack: pack.id)
    saved_at = report.bytes_read
    with closing(check_packs(held.repository, held.index, packs)) as checking:
        for checked in checking:
            report.bytes_read += checked.size_bytes
            if checked.problem is not None:
                report.add(checked.problem)
            progress(report.blobs, report.bytes_read)
            if attempt is not None and report.bytes_read - saved_at >= _SAVE_BYTES:
                if report.problems:
                    held.confirm()  # a later attempt believes what is written here
                saved_at = report.bytes_read
                attempt.save(_state(report, checked.pack))


def _state(report: VerifyReport, last: PackId) -> _Verified:
    bad = tuple(problem for problem in report.problems if problem.kind in PACK_PROBLEMS)
    return _Verified(pack=last, bytes_read=report.bytes_read, problems=bad)
