"""Plan a verification, walk its trees, read its packs: the steps that a run may do twice, at once, or on other hosts.

A plan is made of the index as it is then; what is stored later is not part of it. Each step leaves one document,
created once; a step that finds its document standing answers with that. A step that comes when the run was closed finds
no plan any more, and takes away what it wrote.
"""

import secrets
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from functools import partial
from typing import Final

from holdfast.errors import (
    CorruptFileError,
    FencedError,
    RunClosedError,
    SnapshotNotFoundError,
    StoredFileMissingError,
)
from holdfast.ids import ID_BYTES, BlobId, KeyId, PackId, SnapshotId, from_hex, to_hex
from holdfast.pace import Pace
from holdfast.repository.documents import DocumentT, decide, encode, load
from holdfast.repository.index.map import PackInfo
from holdfast.repository.janitor import enter
from holdfast.repository.layout import DATA, KEYS, list_ids, pack_name
from holdfast.repository.repository import read_key
from holdfast.repository.session import HeldRepository, RepositorySession
from holdfast.repository.snapshots import (
    StoredSnapshot,
    find_snapshot,
    list_snapshots,
    load_snapshot,
    matches,
    raise_unreadable,
)
from holdfast.repository.workspace import Workspace
from holdfast.terms import VerifyLevel
from holdfast.verify.documents import (
    PLAN,
    ROOTS,
    STRUCTURE,
    Plan,
    PlannedPack,
    Roots,
    Shard,
    ShardResult,
    StructureResult,
    VerifyOrder,
    findings_of,
    reached_name,
    result_name,
    shard_name,
)
from holdfast.verify.packs import PackChecked, check_packs
from holdfast.verify.report import Problem, ProblemKind, VerifyReport
from holdfast.verify.shards import cut
from holdfast.verify.share import Share, choose
from holdfast.verify.structure import check_structure

_SHARDS_WANTED: Final = 16

_SAVE_S: Final = 5.0
_WAIT_STEP_S: Final = 0.25

OnProgress = Callable[[int, int], None]
"""Called with packs (or trees) and bytes checked so far; may raise to stop."""


def load_plan(session: RepositorySession, run_id: str) -> Plan:
    """The run's plan.

    Raises:
        FencedError: there is none: the run was closed, or never planned.
    """
    plan = load(session.workspace(run_id), PLAN, Plan)
    if plan is None:
        raise RunClosedError("the run's plan is gone: it was closed, or never made")
    return plan


def choose_snapshots(session: RepositorySession, order: VerifyOrder) -> list[StoredSnapshot]:
    """The snapshots that an order means.

    Raises:
        SnapshotNotFoundError: one that is named does not exist.
        CorruptFileError: one cannot be read, and may be meant; unless it is to be ignored.
    """
    filters = {"hosts": order.hosts, "paths": order.paths, "tags": order.tags}
    ignored = order.ignore_damaged
    if order.snapshots:
        return [
            find_snapshot(session.repository, name.partition(":")[0], **filters, ignore_damaged=ignored)
            for name in order.snapshots
        ]
    on_unreadable = None if ignored else raise_unreadable
    everything = list_snapshots(session.repository, on_unreadable=on_unreadable)
    chosen = [stored for stored in everything if matches(stored.snapshot, **filters)]
    if not chosen:
        raise SnapshotNotFoundError(
            f"none of the {len(everything)} snapshots has that host, these paths and tags: nothing is verified",
            hint="`holdfast snapshots` lists what there is.",
        )
    return chosen


def open_verification(session: RepositorySession, run_id: str, order: VerifyOrder) -> list[StoredSnapshot]:
    """The snapshots that an order means; where it means folders in them, the run's document of roots names those.

    Raises:
        SnapshotNotFoundError, CorruptFileError: as `choose_snapshots`; or a folder is not there.
    """
    chosen = choose_snapshots(session, order)
    if any(":" in name for name in order.snapshots):
        with session.hold() as held:
            held.refresh()
            trees = tuple(
                _tree_at(held, stored, name) for stored, name in zip(chosen, order.snapshots, strict=True)
            )
            workspace = session.workspace(run_id)
            enter(workspace, run_id)
            decide(workspace, ROOTS, Roots(trees=trees))
    return chosen


def _tree_at(held: HeldRepository, stored: StoredSnapshot, name: str) -> BlobId:
    """The tree of the folder that `name` has behind its colon; the snapshot's own where it has none."""
    tree = BlobId(from_hex(stored.snapshot.tree))
    inside = name.partition(":")[2].encode("utf-8", "surrogateescape")
    for part in inside.split(b"/"):
        if part in {b"", b"."}:
            continue
        node = next((child for child in held.loader.load_tree(tree) if child.name == part), None)
        if node is None or node.subtree_id is None:
            raise SnapshotNotFoundError(
                "the snapshot has no such folder",
                hint="`holdfast ls` shows what it holds; name a directory of it.",
            )
        tree = node.subtree_id
    return tree


def plan_run(
    session: RepositorySession,
    run_id: str,
    share: Share,
    snapshots: Sequence[SnapshotId],
    now_ns: int,
    *,
    shards_wanted: int = _SHARDS_WANTED,
) -> Plan:
    """Choose the packs and cut them into shards. Of chosen `snapshots` the structure must have been checked before."""
    workspace = session.workspace(run_id)
    standing = load(workspace, PLAN, Plan)
    if standing is not None:
        return standing
    with session.hold() as held:
        everything = [pack for pack in held.index.packs() if pack.id not in held.index.damage]
        needed = _needed(session, run_id) if snapshots else None
        candidates = [pack for pack in everything if needed is None or pack.id in needed]
        packs = choose(candidates, share, seed=run_id.encode(), now_ns=now_ns)
    nonce = secrets.token_hex(8)
    shards = list(cut(packs, shards_wanted, session.sizes.verify))
    for number, shard in enumerate(shards):
        planned = tuple(PlannedPack(pack.id, pack.size_bytes, pack.blob_count) for pack in shard)
        workspace.put_new(shard_name(nonce, number), encode(Shard(packs=planned)))
    return decide(
        workspace,
        PLAN,
        Plan(
            nonce=nonce,
            snapshots=tuple(snapshots),
            shards=len(shards),
            packs=len(packs),
            size_bytes=sum(pack.size_bytes for pack in packs),
            packs_of_repository=len(everything),
        ),
    )


def check_trees(
    session: RepositorySession, run_id: str, snapshots: Sequence[SnapshotId], on_progress: OnProgress
) -> StructureResult:
    """Walk the trees of the snapshots (all, when none is chosen): is everything there that they need?

    Raises:
        SnapshotNotFoundError: a chosen one is gone.
    """
    workspace = session.workspace(run_id)
    with session.hold() as held:
        enter(workspace, run_id)
        standing = load(workspace, STRUCTURE, StructureResult)
        if standing is not None:
            return standing
        roots = load(workspace, ROOTS, Roots)
        report, needed = walk_structure(held, snapshots, on_progress, () if roots is None else roots.trees)
        held.confirm()  # what was not there may have been removed under us
    result = StructureResult(
        blobs=report.blobs,
        files=report.files,
        problem_count=report.problem_count,
        findings=findings_of(report),
        needed=b"".join(sorted(needed)) if snapshots else b"",
    )
    return decide(workspace, STRUCTURE, result)


def walk_structure(
    held: HeldRepository,
    snapshots: Sequence[SnapshotId],
    on_progress: OnProgress,
    folders: Sequence[bytes] = (),
) -> tuple[VerifyReport, set[PackId]]:
    """What is wrong with the trees, the key files and the packs as seen from outside; the packs that are needed.

    folders: trees to walk instead of those of the snapshots.
    """
    report = VerifyReport(level=VerifyLevel.STRUCTURE)
    roots = [BlobId(from_hex(stored.snapshot.tree)) for stored in _to_walk(held, snapshots, report)]
    roots = [BlobId(tree) for tree in folders] or roots
    held.refresh()
    trees = 0

    def count() -> None:
        nonlocal trees
        trees += 1
        on_progress(trees, 0)

    needed = check_structure(held, roots, report, count)
    _check_keys(held, report)
    _check_sizes(held, needed if snapshots else None, report)
    return report, needed


def read_shard(
    session: RepositorySession,
    run_id: str,
    number: int,
    on_progress: OnProgress,
    pace: Pace | None = None,
) -> ShardResult:
    """Read the packs of one shard, from where an earlier attempt came to.

    Raises:
        FencedError: the run was closed.
    """
    workspace = session.workspace(run_id)
    standing = load(workspace, result_name(number), ShardResult)
    if standing is not None:
        return standing
    plan = load_plan(session, run_id)
    shard = load(workspace, shard_name(plan.nonce, number), Shard)
    if shard is None:
        raise FencedError("the run's plan is gone: it was closed while this attempt began")
    reached = load(workspace, reached_name(number), ShardResult) or ShardResult()
    saving = _Saving(workspace, reached_name(number))
    with session.hold() as held:
        packs = [
            PackInfo(PackId(pack.id), pack.size_bytes, pack.blobs) for pack in shard.packs[reached.packs :]
        ]
        with closing(check_packs(held.repository, held.index, packs)) as checking:
            for checked in checking:
                reached = _with(reached, held, checked)
                on_progress(reached.packs, reached.bytes_read)
                saving.now_and_then(reached)
                if pace is not None:
                    _wait(
                        pace.spend(checked.size_bytes),
                        partial(on_progress, reached.packs, reached.bytes_read),
                    )
        if reached.damaged:
            held.confirm()  # what was not there may have been removed under us
    return _decide_fenced(session, run_id, result_name(number), reached)


def _with(reached: ShardResult, held: HeldRepository, checked: PackChecked) -> ShardResult:
    # A pack that the index no longer names was pruned meanwhile, or mended away: nobody misses it.
    damaged = checked.problem is not None and held.index.has_pack(checked.pack)
    return ShardResult(
        packs=reached.packs + 1,
        blobs=reached.blobs + checked.blobs,
        bytes_read=reached.bytes_read + checked.size_bytes,
        damaged=(*reached.damaged, checked.pack) if damaged else reached.damaged,
    )


class _Saving:
    """Writes down how far a shard has come, now and then. A late attempt may put it back: that costs only time."""

    def __init__(self, workspace: Workspace, name: str) -> None:
        self._workspace = workspace
        self._name = name
        self._saved_at = time.monotonic()

    def now_and_then(self, reached: ShardResult) -> None:
        now = time.monotonic()
        if now - self._saved_at >= _SAVE_S:
            self._workspace.put(self._name, encode(reached))
            self._saved_at = now


def _wait(seconds: float, on_wait: Callable[[], None]) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        on_wait()
        time.sleep(min(left, _WAIT_STEP_S))


def _decide_fenced(session: RepositorySession, run_id: str, name: str, document: DocumentT) -> DocumentT:
    """`decide`, unless the run was closed: closing removes the plan before everything else."""
    workspace = session.workspace(run_id)
    decided = decide(workspace, name, document)
    if load(workspace, PLAN, Plan) is None:
        workspace.remove(name)
        raise FencedError("the run was closed before this attempt had ended")
    return decided


def close_verification(session: RepositorySession, run_id: str) -> None:
    """Remove the run's documents, the plan first: late attempts take its absence as the sign that the run is over."""
    workspace = session.workspace(run_id)
    workspace.remove(PLAN)
    workspace.delete()


def _needed(session: RepositorySession, run_id: str) -> Collection[PackId]:
    structure = load(session.workspace(run_id), STRUCTURE, StructureResult)
    if structure is None:
        raise FencedError("the run's walk is gone: it was closed, or never made")
    raw = structure.needed
    return {PackId(raw[at : at + ID_BYTES]) for at in range(0, len(raw), ID_BYTES)}


def _to_walk(
    held: HeldRepository, snapshots: Sequence[SnapshotId], report: VerifyReport
) -> list[StoredSnapshot]:
    if snapshots:
        return [load_snapshot(held.repository, snapshot) for snapshot in snapshots]
    return list_snapshots(
        held.repository,
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


def _check_sizes(held: HeldRepository, chosen: Collection[PackId] | None, report: VerifyReport) -> None:
    """Is there a file of the right size for each pack of the index (for the chosen ones)?"""
    stored = {file.name: file.size_bytes for file in held.repository.storage.list(DATA)}
    for pack in held.index.packs():
        if chosen is not None and pack.id not in chosen:
            continue
        report.packs += 1
        size = stored.get(pack_name(pack.id))
        if size is None:
            report.add(Problem(kind=ProblemKind.PACK_MISSING, what=to_hex(pack.id)))
        elif size != pack.size_bytes:
            report.add(Problem(kind=ProblemKind.PACK_SIZE, what=to_hex(pack.id)))
