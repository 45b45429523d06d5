"""Mark what the roots of one shard use.

    1. a result that stands is returned at once;
    2. the trees that other shards have marked by now are not walked again;
    3. the roots are walked, and the ids that are new are written, under a token of this attempt's own;
    4. the lock and the index are looked at again, and the result is created if absent. A crash before this leaves
       documents that nothing names.

A snapshot that was forgotten since it was listed may be gone with its blobs, and so may one in the bin. Then it is
left out, and the shard is walked from the beginning: what was marked for it alone would be missed by nobody.
"""

import secrets
from typing import Final

from holdfast.format.index import BlobType
from holdfast.ids import SnapshotId
from holdfast.prune.documents import MarkResult, PruneRun, Root, split_ids
from holdfast.prune.refusals import gone_snapshots, refuse_missing
from holdfast.prune.used import is_lost, lost_roots, read_used, walk, write_used
from holdfast.repository.index.marks import BlobMarks
from holdfast.repository.layout import SNAPSHOTS, list_ids
from holdfast.repository.session import HeldRepository
from holdfast.runs.progress import Progress

_TOKEN_BYTES: Final = 8


def mark_shard(run: PruneRun, number: int, progress: Progress) -> MarkResult:
    """Mark one shard; the result that stands. progress: trees.

    Raises:
        BlobMissingError: a snapshot needs what is in no index.
        FencedError: the run was closed.
        LockLostError, StorageUnavailableError, …: from the repository.
    """
    plan = run.marks
    standing = plan.result_or_none(number)
    if standing is not None:
        return standing
    roots = list(plan.shard(number).roots)
    token = secrets.token_hex(_TOKEN_BYTES)
    with run.session.hold() as held:
        held.refresh()
        held.files.check_whole()
        marks, trees, lost = _mark(run, held, number, roots, progress)
        parts = write_used(run, token, marks)
        held.confirm()
    return plan.conclude(number, MarkResult(token=token, parts=parts, trees=trees, lost=lost))


def _mark(
    run: PruneRun, held: HeldRepository, number: int, roots: list[Root], progress: Progress
) -> tuple[BlobMarks, int, int]:
    """The marks, how many trees were walked, and how many roots are lost."""
    lost: frozenset[bytes] = frozenset()
    others = (shard for shard in range(run.marks.page(0).shards) if shard != number)
    known = [result for result in map(run.marks.result_or_none, others) if result is not None]
    while True:
        trees = 0

        def on_tree() -> None:
            nonlocal trees
            trees += 1
            progress(trees, 0)

        marks = BlobMarks(held.index)
        for part in read_used(run, known):
            marks.mark(split_ids(part.trees), BlobType.TREE, as_known=True)  # what is below is marked there
        missing = walk(held.loader, marks, [root.tree for root in roots], on_tree)
        if not missing:
            return marks, trees, len(lost)
        held.confirm()
        listed = [SnapshotId(raw) for raw, _ in list_ids(held.repository.storage, SNAPSHOTS)]
        gone = gone_snapshots(
            held.repository, [SnapshotId(root.snapshot) for root in roots if root.snapshot], listed
        )
        new = lost_roots(held, roots, on_tree)
        if not gone and not new:
            refuse_missing(missing)
        lost |= new
        roots = [root for root in roots if root.snapshot not in gone and not is_lost(root, lost)]
        known = []
