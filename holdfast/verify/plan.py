"""Open a verification, plan it, walk its trees, read its packs: each step may be done twice, at once, on other hosts.

The plan is made of the index as it is then; what is stored later is not part of it. Each step leaves one document,
which is created once; a step that finds its document standing answers with that.
"""

import time
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from functools import partial
from typing import Final

from holdfast.errors import CorruptFileError, RunStateError, SnapshotNotFoundError, StoredFileMissingError
from holdfast.ids import ID_BYTES, BlobId, KeyId, PackId, SnapshotId, from_hex, to_hex
from holdfast.pace import Pace
from holdfast.repository.documents import load
from holdfast.repository.index.map import PackInfo
from holdfast.repository.layout import KEYS, list_ids
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
from holdfast.runs.opening import conclude, load_opening, open_run
from holdfast.runs.plan import NoRecord, PageWriter
from holdfast.runs.progress import Progress
from holdfast.terms import VerifyLevel
from holdfast.verify.documents import (
    STRUCTURE,
    Opening,
    Page,
    PlannedPack,
    ShardPlan,
    ShardResult,
    StructureResult,
    VerifyOrder,
    VerifyRun,
    findings_of,
)
from holdfast.verify.packs import PackChecked, check_packs
from holdfast.verify.report import Problem, ProblemKind, VerifyReport
from holdfast.verify.shards import cut
from holdfast.verify.share import Share, choose
from holdfast.verify.structure import check_sizes, check_structure

_SHARDS_WANTED: Final = 16
_SAVE_S: Final = 5.0
_WAIT_STEP_S: Final = 0.25


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


def open_verification(run: VerifyRun, order: VerifyOrder | None) -> Opening:
    """Open the run: which snapshots are meant, and which folders in them, is decided once. None: all the repository.

    Raises:
        SnapshotNotFoundError, CorruptFileError: as `choose_snapshots`; or a folder is not there.
        RepositoryLockedError, StorageUnavailableError, …: from the repository.
    """
    with run.session.hold() as held:
        opening, _ = open_run(
            run.workspace, Opening, lambda: Opening() if order is None else _decide(run, held, order)
        )
    return opening


def _decide(run: VerifyRun, held: HeldRepository, order: VerifyOrder) -> Opening:
    chosen = choose_snapshots(run.session, order)
    latest = next((stored for stored in chosen if stored.ahead), None)
    trees: tuple[BlobId, ...] = ()
    if any(":" in name for name in order.snapshots):
        held.refresh()
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


def plan_verification(
    run: VerifyRun, share: Share, now_ns: int, *, shards_wanted: int = _SHARDS_WANTED
) -> Page:
    """Choose the packs and cut them into shards. Of chosen snapshots the structure must have been checked before.

    Raises:
        RunClosedError: the run is over, or was never opened.
    """

    def plan_page(writer: PageWriter[NoRecord, ShardPlan], _before: Page | None) -> Page:
        only = load_opening(run.workspace, Opening).snapshots
        with run.session.hold() as held:
            everything = [pack for pack in held.index.packs() if pack.id not in held.index.damage]
        needed = _needed(run) if only else None
        candidates = [pack for pack in everything if needed is None or pack.id in needed]
        packs = choose(candidates, share, seed=run.run_id.encode(), now_ns=now_ns)
        for shard in cut(packs, shards_wanted, run.session.sizes.verify):
            planned = tuple(PlannedPack(pack.id, pack.size_bytes, pack.blob_count) for pack in shard)
            writer.write_shard(ShardPlan(packs=planned))
        return Page(
            token=writer.token,
            shards=writer.shards,
            packs=len(packs),
            size_bytes=sum(pack.size_bytes for pack in packs),
            packs_of_repository=len(everything),
        )

    return run.plan.select(0, plan_page)


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
    result = StructureResult(
        blobs=report.blobs,
        files=report.files,
        problem_count=report.problem_count,
        findings=findings_of(report),
        needed=b"".join(sorted(needed)) if snapshots else b"",
    )
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
    held.refresh()
    trees = 0

    def count() -> None:
        nonlocal trees
        trees += 1
        progress(trees, 0)

    needed = check_structure(held, roots, report, count)
    _check_keys(held, report)
    packs = list(held.index.packs())
    check_sizes(held, [pack for pack in packs if not snapshots or pack.id in needed], report)
    return report, needed


def read_shard(run: VerifyRun, number: int, progress: Progress, pace: Pace | None = None) -> ShardResult:
    """Read the packs of one shard, from where an earlier attempt came to; the result that stands.

    Raises:
        FencedError: a newer attempt has taken over, or the run was closed.
    """
    plan = run.plan
    standing = plan.result_or_none(number)
    if standing is not None:
        return standing
    shard = plan.shard(number)
    attempt = plan.attempt(number)
    reached = attempt.resume(ShardResult, lambda _: b"") or ShardResult()
    saved_at = time.monotonic()
    with run.session.hold() as held:
        packs = [
            PackInfo(PackId(pack.id), pack.size_bytes, pack.blobs) for pack in shard.packs[reached.packs :]
        ]
        with closing(check_packs(held.repository, held.index, packs)) as checking:
            for checked in checking:
                reached = _with(reached, held, checked)
                progress(reached.packs, reached.bytes_read)
                if time.monotonic() - saved_at >= _SAVE_S:
                    attempt.save(reached)
                    saved_at = time.monotonic()
                if pace is not None:
                    _wait(
                        pace.spend(checked.size_bytes), partial(progress, reached.packs, reached.bytes_read)
                    )
        if reached.damaged:
            held.confirm()  # what was not there may have been removed under us
    return plan.conclude(number, reached)


def _with(reached: ShardResult, held: HeldRepository, checked: PackChecked) -> ShardResult:
    # A pack that the index no longer names was pruned meanwhile, or mended away: nobody misses it.
    damaged = checked.problem is not None and held.index.has_pack(checked.pack)
    return ShardResult(
        packs=reached.packs + 1,
        blobs=reached.blobs + checked.blobs,
        bytes_read=reached.bytes_read + checked.size_bytes,
        damaged=(*reached.damaged, checked.pack) if damaged else reached.damaged,
    )


def _wait(seconds: float, on_wait: Callable[[], None]) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        on_wait()
        time.sleep(min(left, _WAIT_STEP_S))


def _needed(run: VerifyRun) -> Collection[PackId]:
    structure = load(run.workspace, STRUCTURE, StructureResult)
    if structure is None:
        raise RunStateError("the run's walk of the trees is gone, or was never made")
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
