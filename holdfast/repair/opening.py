"""Open a repair: what is meant is decided once."""

from holdfast.errors import CorruptFileError, StoredFileMissingError
from holdfast.ids import SnapshotId, from_hex, is_hex_id
from holdfast.repair.documents import Opening, RepairOrder, RepairRun
from holdfast.repair.packs import check_names
from holdfast.repository.caching import past_cache
from holdfast.repository.repository import Repository
from holdfast.repository.snapshots import chosen_snapshots, load_snapshot
from holdfast.runs.opening import open_run
from holdfast.terms import RepairKind


def open_repair(run: RepairRun, order: RepairOrder) -> Opening:
    """Open the run.

    Raises:
        SnapshotNotFoundError: a snapshot that is named does not exist.
        CorruptFileError: one that may be meant cannot be read; named by its whole id, it is taken as it is.
        UsageError: what is named as a pack is none.
        RepositoryLockedError, StorageUnavailableError, …: from the repository.
    """
    with run.session.hold():
        opening, _ = open_run(run.workspace, Opening, lambda: _decide(run, order))
    return opening


def _decide(run: RepairRun, order: RepairOrder) -> Opening:
    if order.kind is RepairKind.PACKS:
        check_names(order.packs)
    if order.kind is not RepairKind.SNAPSHOTS:
        return Opening(order=order)
    repository = past_cache(run.session.repository)
    unreadable = tuple(
        SnapshotId(from_hex(name))
        for name in dict.fromkeys(order.snapshots)
        if _is_unreadable(repository, name)
    )
    names = [name for name in order.snapshots if not is_hex_id(name) or from_hex(name) not in unreadable]
    if unreadable and not names:
        return Opening(order=order, unreadable=unreadable)
    chosen = chosen_snapshots(repository, names, order.which)
    return Opening(order=order, snapshots=tuple(stored.id for stored in chosen), unreadable=unreadable)


def _is_unreadable(repository: Repository, name: str) -> bool:
    """Whether a snapshot is named by its whole id, is there, and cannot be read."""
    if not is_hex_id(name):
        return False
    try:
        load_snapshot(repository, SnapshotId(from_hex(name)))
    except StoredFileMissingError:
        return False
    except CorruptFileError:
        return True
    return False
