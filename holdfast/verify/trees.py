"""Walk the trees of a verification, and look at the packs and keys from outside: is everything there?"""

from collections.abc import Sequence

from msgspec import structs

from holdfast.errors import CorruptFileError, StoredFileMissingError
from holdfast.ids import BlobId, IndexId, KeyId, PackId, SnapshotId, from_hex, to_hex
from holdfast.repository.caching import past_cache
from holdfast.repository.documents import load
from holdfast.repository.index.files import INDEX_LIMIT_BYTES
from holdfast.repository.key_files import read_key
from holdfast.repository.layout import INDEX, KEYS, list_ids
from holdfast.repository.session import HeldRepository
from holdfast.repository.snapshots import StoredSnapshot, find_snapshot, list_snapshots
from holdfast.runs.opening import conclude, load_opening
from holdfast.runs.progress import Progress
from holdfast.storage.parallel import ask_all
from holdfast.terms import VerifyLevel
from holdfast.verify.documents import STRUCTURE, Opening, StructureResult, VerifyRun
from holdfast.verify.report import Problem, ProblemKind, VerifyReport
from holdfast.verify.structure import check_sizes, check_structure


def check_trees(run: VerifyRun, progress: Progress) -> StructureResult:
    """Walk the trees of the snapshots (all, when none is chosen): is everything there that they need?

    Raises:
        SnapshotNotFoundError: a chosen one is gone.
        RunClosedError: the run is over, or was never opened.
    """
    workspace = run.workspace
    standing = load(workspace, STRUCTURE, StructureResult)
    if standing is not None:
        return standing
    opening = load_opening(workspace, Opening)
    snapshots = [SnapshotId(snapshot) for snapshot in opening.snapshots]
    with run.session.hold() as held:
        report, needed = walk_structure(held, snapshots, progress, opening.trees)
        held.confirm()  # what was not there may have been removed under us
    result = StructureResult(**structs.asdict(report), needed=b"".join(sorted(needed)) if snapshots else b"")
    return conclude(workspace, STRUCTURE, result)


def walk_structure(
    held: HeldRepository,
    snapshots: Sequence[SnapshotId],
    progress: Progress,
    folders: Sequence[bytes] = (),
) -> tuple[VerifyReport, set[PackId]]:
    """What is wrong with the trees, the key files and the packs as seen from outside; the packs that are needed.

    folders: trees to walk instead of those of the snapshots.
    """
    report = VerifyReport(level=VerifyLevel.STRUCTURE)
    roots = [BlobId(from_hex(stored.snapshot.tree)) for stored in _to_walk(held, snapshots, report)]
    roots = [BlobId(tree) for tree in folders] or roots
    for root in roots:
        held.reach(root)
    trees = 0

    def count() -> None:
        nonlocal trees
        trees += 1
        progress(trees, 0)

    needed = check_structure(held, roots, report, count)
    _check_keys(held, report)
    _check_index_files(held, report)
    packs = list(held.index.packs())
    check_sizes(held, [pack for pack in packs if not snapshots or pack.id in needed], report)
    return report, needed


def _to_walk(
    held: HeldRepository, snapshots: Sequence[SnapshotId], report: VerifyReport
) -> list[StoredSnapshot]:
    if snapshots:
        return [find_snapshot(held.repository, to_hex(snapshot)) for snapshot in snapshots]
    return list_snapshots(
        past_cache(held.repository),
        on_unreadable=lambda snapshot, _: report.add(
            Problem(kind=ProblemKind.SNAPSHOT_UNREADABLE, what=to_hex(snapshot))
        ),
    )


def _check_keys(held: HeldRepository, report: VerifyReport) -> None:
    storage = held.repository.storage
    for raw, _ in list_ids(storage, KEYS):
        try:
            read_key(storage, KeyId(raw))
        except StoredFileMissingError:
            continue
        except CorruptFileError:
            report.add(Problem(kind=ProblemKind.KEY_UNREADABLE, what=to_hex(raw)))


def _check_index_files(held: HeldRepository, report: VerifyReport) -> None:
    """Read the index files that this host has in its cache from the store: what was loaded says nothing of those."""
    bare = past_cache(held.repository)
    if bare is held.repository:
        return

    def is_bad(index_id: bytes) -> bool:
        try:
            bare.load_file(INDEX, index_id, limit_bytes=INDEX_LIMIT_BYTES)
        except StoredFileMissingError:
            return False  # replaced by somebody since it was listed
        except CorruptFileError:
            return True
        return False

    known = set(held.unreadable_index)
    listed = [raw for raw, _ in list_ids(bare.storage, INDEX) if IndexId(raw) not in known]
    for index_id, bad in zip(listed, ask_all(bare.storage, is_bad, listed), strict=True):
        if bad:
            report.add(Problem(kind=ProblemKind.INDEX_UNREADABLE, what=to_hex(index_id)))
