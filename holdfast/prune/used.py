"""What is used: trees are walked, each once, and what they name is marked in the index.

What a tree names never changes, so ids that were marked once stay true, whatever becomes of locks and index since. Only
what was forgotten *and* pruned by others can be marked and missing: then what is there now is walked again.
"""

from collections.abc import Callable, Collection, Sequence
from typing import TypeAlias

from holdfast.errors import CorruptFileError, StoredFileMissingError
from holdfast.format.index import BlobType
from holdfast.format.tree import references_of
from holdfast.ids import BlobId, PackId, SnapshotId, from_hex
from holdfast.prune import kept
from holdfast.prune.documents import ROOTS, PruneRun, Root, Roots, UsedPart, split_ids
from holdfast.prune.refusals import gone_snapshots, refuse_unreadable_snapshot
from holdfast.repository.index.marks import BlobMarks
from holdfast.repository.layout import SNAPSHOTS, list_ids
from holdfast.repository.packs.loader import BlobLoader
from holdfast.repository.repository import Repository
from holdfast.repository.session import HeldRepository
from holdfast.repository.snapshots import load_snapshot
from holdfast.runs.progress import Progress
from holdfast.storage.parallel import ask_all

Missing: TypeAlias = set[tuple[bytes, BlobType]]
"""Blobs that are used and of which no copy counts."""


def walk(
    loader: BlobLoader, marks: BlobMarks, trees: Collection[bytes], on_tree: Callable[[], None]
) -> Missing:
    """Mark all that is below these trees, and themselves, down to trees that are marked; what is missing.

    Raises:
        StoredFileMissingError, CorruptFileError: a tree cannot be read.
    """
    pending, lacking = marks.mark(trees, BlobType.TREE)
    missing: Missing = {(tree, BlobType.TREE) for tree in lacking}
    load, mark = loader.load_tree_bytes, marks.mark
    while pending:
        subtrees, content = references_of(load(BlobId(pending.pop())))
        on_tree()
        new, lacking = mark(subtrees, BlobType.TREE)
        pending += new
        missing.update((tree, BlobType.TREE) for tree in lacking)
        missing.update((blob, BlobType.DATA) for blob in mark(content, BlobType.DATA)[1])
    return missing


def walk_alone(
    loader: BlobLoader, marks: BlobMarks, trees: Collection[bytes], on_tree: Callable[[], None]
) -> Missing:
    """Mark trees and the content that they name themselves, and nothing below them. Raises as `walk`."""
    missing: Missing = {(tree, BlobType.TREE) for tree in marks.mark(trees, BlobType.TREE)[1]}
    for tree in trees:
        if (tree, BlobType.TREE) not in missing:
            content = references_of(loader.load_tree_bytes(BlobId(tree)))[1]
            on_tree()
            missing.update((blob, BlobType.DATA) for blob in marks.mark(content, BlobType.DATA)[1])
    return missing


def new_roots(repository: Repository, seen: Collection[SnapshotId]) -> tuple[list[Root], list[SnapshotId]]:
    """The trees of the snapshots that are there and were not seen, and the ids of all that are there.

    Raises:
        CorruptFileError: one cannot be read.
    """
    listed = [SnapshotId(raw) for raw, _ in list_ids(repository.storage, SNAPSHOTS)]

    def load(snapshot: SnapshotId) -> Root | None:
        try:
            return Root(from_hex(load_snapshot(repository, snapshot).snapshot.tree), snapshot)
        except StoredFileMissingError:
            return None  # forgotten since it was listed
        except CorruptFileError as error:
            return refuse_unreadable_snapshot(snapshot, error)

    unseen = [snapshot for snapshot in listed if snapshot not in seen]
    return [root for root in ask_all(repository.storage, load, unseen) if root is not None], listed


def lost_roots(
    held: HeldRepository, roots: Collection[Root], on_tree: Callable[[], None]
) -> frozenset[bytes]:
    """The trees of what is no snapshot now and lacks something: stock restic's prune does not know the bin.

    A prune goes on without them, but keeps what is there of them when it plans: it may have been an index file that was
    lost, and no blob. Each is walked by itself, so this is asked only where something is missing.
    """
    trees = {root.tree for root in roots if not root.snapshot}
    return frozenset(tree for tree in trees if walk(held.loader, BlobMarks(held.index), [tree], on_tree))


def is_lost(root: Root, lost: Collection[bytes]) -> bool:
    """Whether this root is one of the lost: never a snapshot, though one may have the same tree."""
    return not root.snapshot and root.tree in lost


def mark_part(marks: BlobMarks, part: UsedPart) -> Missing:
    """Mark what a document holds; what is missing."""
    return {
        (blob, kind)
        for kind, ids in ((BlobType.TREE, part.trees), (BlobType.DATA, part.data))
        for blob in marks.mark(split_ids(ids), kind)[1]
    }


def mark_used(
    run: PruneRun,
    held: HeldRepository,
    going: Collection[PackId],
    progress: Progress,
    extra_roots: Callable[[], Sequence[Root]] = tuple,
    lost: Collection[bytes] = (),
) -> tuple[BlobMarks, Missing, set[SnapshotId]]:
    """Mark all that the run has found to be used and what has come since uses, in packs that do not go.

    Also: what is only in packs that go, or in none, or, where packs go, only damaged; and the snapshots that are there.

    extra_roots: asked after snapshots were listed: one that is being forgotten is written to the bin before it goes, so
    it is found in one of the two. lost: see `lost_roots`; these do not count.

    Raises:
        StorageUnavailableError: a listing leaves out what is there.
    """
    page = run.marks.page(0)
    walked = run.marks.beside(0, page, ROOTS, Roots).roots
    known = {SnapshotId(root.snapshot) for root in walked if root.snapshot}
    new, listed = new_roots(held.repository, known)
    gone = gone_snapshots(held.repository, known, listed)
    extra = [root for root in extra_roots() if root.tree not in lost]
    held.refresh()  # what the new ones need
    trees = 0

    def on_tree() -> None:
        nonlocal trees
        trees += 1
        progress(trees, 0)

    marks = BlobMarks(held.index, going, sound=bool(going))
    missing: Missing = set()
    for part in kept.read_used(held.repository, list(run.marks.results(page.shards))):
        progress(0, 0)
        missing |= mark_part(marks, part)
    roots = [*new, *extra]
    if (gone or lost) and missing:
        # A client that has forgotten snapshots may have pruned: what they alone used is missed by nobody.
        marks, missing = BlobMarks(held.index, going, sound=bool(going)), set()
        roots += [root for root in walked if root.snapshot not in gone and not is_lost(root, lost)]
    missing |= walk(held.loader, marks, dict.fromkeys(root.tree for root in roots), on_tree)
    return marks, missing, set(listed)
