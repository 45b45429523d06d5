"""Open a verification: which snapshots are meant, and which folders in them."""

from holdfast.errors import SnapshotNotFoundError
from holdfast.ids import BlobId, from_hex
from holdfast.repository.packs.loader import find_node
from holdfast.repository.session import HeldRepository, RepositorySession
from holdfast.repository.snapshots import (
    StoredSnapshot,
    find_snapshot,
    list_snapshots,
    none_of,
    raise_unreadable,
)
from holdfast.runs.opening import open_run
from holdfast.verify.documents import (
    Opening,
    VerifyOrder,
    VerifyRun,
)


def choose_snapshots(session: RepositorySession, order: VerifyOrder) -> list[StoredSnapshot]:
    """The snapshots that an order means.

    Raises:
        SnapshotNotFoundError: one that is named does not exist.
        CorruptFileError: one cannot be read, and may be meant; unless it is to be ignored.
    """
    ignored = order.ignore_damaged
    if order.snapshots:
        return [
            find_snapshot(session.repository, name.partition(":")[0], order.which, ignore_damaged=ignored)
            for name in order.snapshots
        ]
    on_unreadable = None if ignored else raise_unreadable
    everything = list_snapshots(session.repository, on_unreadable=on_unreadable)
    chosen = [stored for stored in everything if order.which.takes(stored.snapshot)]
    if not chosen:
        raise SnapshotNotFoundError(
            f"{none_of(len(everything), str(order.which))}: nothing is verified",
            hint="`holdfast snapshots` lists what there is.",
        )
    return chosen


def open_verification(run: VerifyRun, order: VerifyOrder | None, *, is_new: bool = False) -> Opening:
    """Open the run: which snapshots are meant, and which folders in them, is decided once. None: all the repository.

    is_new: as `open_run` takes it.

    Raises:
        SnapshotNotFoundError, CorruptFileError: as `choose_snapshots`; or a folder is not there.
        RepositoryLockedError, StorageUnavailableError, …: from the repository.
    """
    with run.session.hold() as held:
        opening, _ = open_run(
            run.workspace,
            Opening,
            lambda: Opening() if order is None else _decide(run, held, order),
            is_new=is_new,
        )
    return opening


def _decide(run: VerifyRun, held: HeldRepository, order: VerifyOrder) -> Opening:
    chosen = choose_snapshots(run.session, order)
    latest = next((stored for stored in chosen if stored.ahead), None)
    trees: tuple[BlobId, ...] = ()
    if any(":" in name for name in order.snapshots):
        for stored in chosen:
            held.reach(BlobId(from_hex(stored.snapshot.tree)))
        trees = tuple(
            _tree_at(held, stored, name) for stored, name in zip(chosen, order.snapshots, strict=True)
        )
    return Opening(
        snapshots=tuple(stored.id for stored in chosen),
        trees=trees,
        latest=b"" if latest is None else latest.id,
        ahead=() if latest is None else latest.ahead,
    )


def _tree_at(held: HeldRepository, stored: StoredSnapshot, name: str) -> BlobId:
    """The tree of the folder that `name` has behind its colon; the snapshot's own where it has none."""
    tree = BlobId(from_hex(stored.snapshot.tree))
    inside = name.partition(":")[2].encode("utf-8", "surrogateescape")
    parts = [part for part in inside.split(b"/") if part not in {b"", b"."}]
    if not parts:
        return tree
    node = find_node(held.loader.load_tree, tree, b"/".join(parts))
    if node is None or node.subtree_id is None:
        raise SnapshotNotFoundError(
            "the snapshot has no such folder",
            hint="`holdfast ls` shows what it holds; name a directory of it.",
        )
    return node.subtree_id
