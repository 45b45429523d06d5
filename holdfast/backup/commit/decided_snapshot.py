"""The last look before a snapshot is written, and the one document that says which snapshot a run writes."""

from collections.abc import Collection

from holdfast.backup.run import BackupRun
from holdfast.errors import RunClosedError
from holdfast.format.sealed import decode_file
from holdfast.format.snapshot import decode_snapshot
from holdfast.ids import BlobId, PackId, SnapshotId, from_hex, sha256
from holdfast.repository.kept_trees import is_whole
from holdfast.repository.layout import SNAPSHOTS, file_name
from holdfast.repository.session import HeldRepository
from holdfast.runs.opening import OPENING
from holdfast.storage.parallel import ask_both


def packs_gone(held: HeldRepository, packs: Collection[PackId]) -> list[PackId]:
    """The packs that the snapshot needs and that are not there.

    Raises:
        LockLostError: the lock was removed, or index files that were believed.
    """
    storage = held.repository.storage
    gone, _ = ask_both(storage, lambda: held.missing_packs(packs), held.confirm_index)
    held.confirm_lock(recently=True)
    return gone


def decide_snapshot(run: BackupRun, held: HeldRepository, sealed: bytes, tree: BlobId) -> bytes:
    """The sealed bytes that this run's snapshot has, of whichever attempt. tree: of `sealed`, which is whole.

    Bytes that another attempt decided for may name a tree that is not whole any more: it was frozen, and a prune
    ran. Then nobody has acknowledged them, because this commit would have found that before, and they are replaced.

    Closing removes the opening before everything else. So an attempt that wakes up after the run was closed, and
    finds no snapshot document any more, sees afterwards that the opening is gone as well, and stops.

    Raises:
        FencedError: the run was closed.
    """
    workspace, name = run.workspace, run.name("snapshot")
    standing = sealed if workspace.put_new(name, sealed) else workspace.get(name)
    if standing is not None and standing != sealed and not _is_whole(held, standing, tree):
        held.repository.storage.delete(file_name(SNAPSHOTS, sha256(standing)))
        workspace.put(name, sealed)
        standing = sealed
    if standing is None or not workspace.has(OPENING):
        if standing == sealed:
            workspace.remove(name)
        raise RunClosedError("the run was closed before this attempt could commit it")
    return standing


def remove_superseded(run: BackupRun, snapshot: SnapshotId) -> None:
    """Remove what earlier generations of the run have written, once `snapshot` stands. Nobody was told of it: a commit
    that has ended makes no plan again. Mostly packs of it were removed before the last look."""
    for generation in range(run.generation):
        sealed = run.workspace.get(run.of_generation(generation).name("snapshot"))
        if sealed is not None and sha256(sealed) != snapshot:
            run.session.repository.storage.delete(file_name(SNAPSHOTS, sha256(sealed)))


def _is_whole(held: HeldRepository, sealed: bytes, whole_tree: BlobId) -> bool:
    """Whether all is there that a sealed snapshot needs, by an index that is believed."""
    tree = BlobId(from_hex(decode_snapshot(decode_file(held.repository.sealer(), sealed)).tree))
    if tree == whole_tree:
        return True
    held.refresh()  # the other attempt may have stored its trees since
    return is_whole(held, tree)
