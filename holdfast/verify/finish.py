"""The last word of a verification: what all its parts found, what that costs, what could be mended, in one report.

    1. the packs that shards found damaged, those that the walk found missing or cut off, and those that were marked
       before, are read again; the marks are set to what is found now;
    2. under the new marks, in an index that leads to sound copies where there are any, the trees are walked again;
    3. blobs without a sound copy are followed to the snapshots and paths that need them;
    4. packs that nothing needs any more are let go of, if nobody uses the repository just now.

Where nothing is suspected, the report is the sum of the parts. Every step may be done twice.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from holdfast.errors import (
    CorruptFileError,
    LockLostError,
    RepositoryLockedError,
    RunStateError,
    StorageDeniedError,
)
from holdfast.ids import PackId, SnapshotId, from_hex, to_hex
from holdfast.repository.damage import DamagedPack
from holdfast.repository.documents import load
from holdfast.repository.session import RepositorySession
from holdfast.repository.snapshots import StoredSnapshot, list_snapshots
from holdfast.runs.opening import conclude, load_opening
from holdfast.terms import VerifyLevel
from holdfast.verify.documents import (
    REPORT,
    STRUCTURE,
    Opening,
    Report,
    ShardResult,
    StructureResult,
    VerifyRun,
)
from holdfast.verify.lost import Losses, find_losses
from holdfast.verify.mend import diagnose_and_mark, mend, without_sound_copy
from holdfast.verify.report import PACK_PROBLEMS, Problem, ProblemKind, VerifyReport
from holdfast.verify.trees import walk_structure

_LOG: Final = logging.getLogger(__name__)


@dataclass(slots=True)
class _Treated:
    """What came of the suspected packs."""

    structure: VerifyReport
    damaged: list[DamagedPack]
    losses: Losses = field(default_factory=Losses)
    mended: set[PackId] = field(default_factory=set)


def finish_verification(run: VerifyRun, on_step: Callable[[], None]) -> Report:
    """The run's report; the second call finds what the first one decided. on_step: called often; may raise to stop.

    Raises:
        RunStateError, RunClosedError: results of the run are gone.
        StorageUnavailableError and the like: the repository cannot be read just now.
    """
    session, workspace = run.session, run.workspace
    standing = load(workspace, REPORT, Report)
    if standing is not None:
        return standing
    results = list(run.plan.results(run.plan.page(0).shards))
    structure = load(workspace, STRUCTURE, StructureResult)
    if structure is None:
        raise RunStateError("the run's walk of the trees is gone, or was never made")
    suspects = _suspects(session, structure, results)
    snapshots = load_opening(workspace, Opening).snapshots
    treated = _treat(session, snapshots, suspects, on_step) if suspects else None
    return conclude(workspace, REPORT, _report(structure, results, treated))


def _suspects(
    session: RepositorySession, structure: StructureResult, results: Sequence[ShardResult]
) -> set[PackId]:
    suspects = {PackId(pack) for result in results for pack in result.damaged}
    suspects |= {PackId(from_hex(found.what)) for found in structure.problems if found.kind in PACK_PROBLEMS}
    with session.hold() as held:
        return suspects | held.index.damage.keys()


def _treat(
    session: RepositorySession, only: Sequence[bytes], suspects: set[PackId], on_step: Callable[[], None]
) -> _Treated:
    with session.hold() as held:
        diagnosis = diagnose_and_mark(held, suspects)
    unreadable: list[SnapshotId] = []
    with session.hold() as held:  # again: the index is loaded with the new marks
        snapshots = list_snapshots(
            session.repository, on_unreadable=lambda snapshot, _: unreadable.append(snapshot)
        )
        chosen = [SnapshotId(snapshot) for snapshot in only]
        report, _ = walk_structure(held, chosen, lambda _trees, _bytes: on_step())
        lost = without_sound_copy(held, diagnosis.damaged)
        losses = find_losses(held, snapshots, lost, on_step)
        held.confirm()  # what was not there may have been removed under us
        is_whole = not held.unreadable_index
    treated = _Treated(report, list(diagnosis.damaged), losses)
    needed = lost if unreadable else losses.needed  # who cannot be asked may need anything
    going = [pack for pack in diagnosis.damaged if not pack.blobs & needed]
    if going and is_whole and session.locked and not _has_new_snapshots(session, snapshots):
        treated.mended = _mend(session, [pack.pack for pack in going])
    return treated


def _has_new_snapshots(session: RepositorySession, walked: Sequence[StoredSnapshot]) -> bool:
    known = {stored.id for stored in walked}
    return any(stored.id not in known for stored in list_snapshots(session.repository))


def _mend(session: RepositorySession, packs: Sequence[PackId]) -> set[PackId]:
    try:
        mend(session, packs)
    except (RepositoryLockedError, LockLostError, CorruptFileError, StorageDeniedError) as error:
        # denied: nothing may be removed there (append-only)
        _LOG.warning("damaged packs that nothing needs are left for the next verification: %s", error.message)
        return set()
    return set(packs)


def _report(structure: StructureResult, results: Sequence[ShardResult], treated: _Treated | None) -> Report:
    packs = sum(result.packs for result in results)
    report = Report(
        level=VerifyLevel.FULL if packs else VerifyLevel.STRUCTURE,
        blobs=structure.blobs,
        packs=packs,
        files=structure.files,
        bytes_read=sum(result.bytes_read for result in results),
    )
    if treated is None:
        report.problem_count, report.problems = structure.problem_count, structure.problems
        return report
    losses = treated.losses
    left = [pack for pack in treated.damaged if pack.pack not in treated.mended]
    report.blobs, report.files = treated.structure.blobs, treated.structure.files
    for problem in treated.structure.problems:
        if problem.kind not in PACK_PROBLEMS:
            report.add(problem)
    for pack in left:
        report.add(Problem(kind=ProblemKind.PACK_DAMAGED, what=to_hex(pack.pack)))
    for path in losses.paths:
        report.add(Problem(kind=ProblemKind.CONTENT_LOST, what=path.blob, path=path.path))
    report.lost, report.lost_count = tuple(losses.paths), losses.path_count
    report.affected_snapshots = tuple(stored.id for stored in losses.snapshots)
    report.damaged_packs, report.mended_packs = len(left), len(treated.mended)
    report.damaged_blobs = sum(len(pack.blobs) for pack in left)
    return report
