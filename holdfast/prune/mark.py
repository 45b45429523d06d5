"""Mark what the trees of one shard use.

    1. a result that stands is returned at once; so is what an earlier prune has kept of the same trees (kept.py);
    2. the trees are walked, and all ids are kept for the next prune. A crash leaves what the next attempt writes again;
    3. the lock and the index are looked at again, and the result is created if absent.

A snapshot that was forgotten since it was listed may be gone with its blobs, and so may one in the bin. Where something
is missing, all roots but these are walked from the beginning, and that is nobody's but this run's.
"""

import secrets
from collections.abc import Callable
from typing import Final

from holdfast.ids import SnapshotId
from holdfast.prune import kept
from holdfast.prune.documents import ROOTS, MarkResult, PruneRun, Roots, split_ids
from holdfast.prune.refusals import gone_snapshots, refuse_missing
from holdfast.prune.used import is_lost, lost_roots, walk, walk_alone
from holdfast.repository.index.marks import BlobMarks
from holdfast.repository.layout import SNAPSHOTS, list_ids
from holdfast.repository.session import HeldRepository
from holdfast.runs.progress import Progress

_NAME_BYTES: Final = 16


def mark_shard(run: PruneRun, number: int, progress: Progress) -> MarkResult:
    """Mark one shard; the result that stands. progress: trees.

    Raises:
        BlobMissingError: a snapshot needs what is in no index.
        FencedError: the run was closed.
        LockLostError, StorageUnavailableError, …: from the repository.
    """
    plan, repository = run.marks, run.session.repository
    standing = plan.result_or_none(number)
    if standing is not None:
        return standing
    shard = plan.shard(number)
    name = kept.name_of(repository, shard)
    known = kept.find(repository, name)
    if known is not None:
        return plan.conclude(number, known)
    trees = 0

    def on_tree() -> None:
        nonlocal trees
        trees += 1
        progress(trees, 0)

    with run.session.hold() as held:
        held.refresh()
        held.files.check_whole()
        marks, lost = BlobMarks(held.index), 0
        missing = walk(held.loader, marks, split_ids(shard.trees), on_tree)
        missing |= walk_alone(held.loader, marks, split_ids(shard.alone), on_tree)
        if missing:
            marks, lost = _mark_what_is_there(run, held, on_tree)
            name = secrets.token_hex(_NAME_BYTES)
        parts = kept.keep(repository, name, marks, trees)
        held.confirm()
    return plan.conclude(number, MarkResult(name=name, parts=parts, trees=trees, lost=lost))


def _mark_what_is_there(
    run: PruneRun, held: HeldRepository, on_tree: Callable[[], None]
) -> tuple[BlobMarks, int]:
    """The marks of all roots but those that are gone, and how many are lost; see the module."""
    roots = list(run.marks.beside(0, run.marks.page(0), ROOTS, Roots).roots)
    lost: frozenset[bytes] = frozenset()
    while True:
        marks = BlobMarks(held.index)
        missing = walk(held.loader, marks, [root.tree for root in roots], on_tree)
        if not missing:
            return marks, len(lost)
        held.confirm()
        listed = [SnapshotId(raw) for raw, _ in list_ids(held.repository.storage, SNAPSHOTS)]
        snapshots = [SnapshotId(root.snapshot) for root in roots if root.snapshot]
        gone = gone_snapshots(held.repository, snapshots, listed)
        new = lost_roots(held, roots, on_tree)
        if not gone and not new:
            refuse_missing(missing)
        lost |= new
        roots = [root for root in roots if root.snapshot not in gone and not is_lost(root, lost)]
