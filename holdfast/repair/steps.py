"""The steps of a repair, of whichever kind: plan what is looked at, look at one shard, change what is wrong."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from holdfast.repair import index, packs, snapshots
from holdfast.repair.documents import (
    REPORT,
    Opening,
    Page,
    PlannedPack,
    RepairOrder,
    RepairRun,
    Report,
    ShardPlan,
    ShardResult,
)
from holdfast.repository.documents import load
from holdfast.repository.exclusive import WAIT_FOR_OTHERS_S, ExclusiveLock
from holdfast.repository.session import HeldRepository
from holdfast.runs.opening import conclude, load_opening
from holdfast.runs.plan import NoRecord, PageWriter
from holdfast.runs.progress import Progress
from holdfast.terms import RepairKind


def plan_repair(run: RepairRun) -> Page:
    """Decide what is looked at, in shards.

    Raises:
        RunClosedError: the run is over, or was never opened.
        UsageError: the index does not name a pack that was named.
    """
    opening = load_opening(run.workspace, Opening)
    reads_whole = opening.order.kind is RepairKind.PACKS

    def plan_page(writer: PageWriter[NoRecord, ShardPlan], _before: Page | None) -> Page:
        with run.session.hold() as held:
            wanted = _packs_to_read(held, opening.order)
            held.confirm()
        cut = index.cut if opening.order.kind is RepairKind.INDEX else packs.cut
        for shard in (*cut(wanted), *snapshots.cut(opening.snapshots)):
            writer.write_shard(shard)
        return Page(
            token=writer.token,
            shards=writer.shards,
            things=len(wanted) + len(opening.snapshots),
            size_bytes=sum(pack.size_bytes for pack in wanted) if reads_whole else 0,
        )

    return run.plan.select(0, plan_page)


def _packs_to_read(held: HeldRepository, order: RepairOrder) -> list[PlannedPack]:
    """The packs that a repair looks at; that of snapshots looks at none."""
    if order.kind is RepairKind.INDEX:
        return index.packs_to_read(held.repository, every=order.read_all_packs)
    return packs.packs_to_read(held, order.packs) if order.kind is RepairKind.PACKS else []


def look_at_shard(run: RepairRun, number: int, progress: Progress) -> ShardResult:
    """Look at what one shard holds, from where an earlier attempt came to; the result that stands.

    Raises:
        FencedError: a newer attempt has taken over, or the run was closed.
        StorageUnavailableError: the storage does not answer. LockLostError: what was seen is not to be believed.
    """
    standing = run.plan.result_or_none(number)
    if standing is not None:
        return standing
    order = load_opening(run.workspace, Opening).order
    shard = run.plan.shard(number)
    attempt = run.plan.attempt(number)
    reached = attempt.resume(ShardResult, lambda _: b"") or ShardResult()
    if order.kind is RepairKind.INDEX:
        with run.session.hold() as held:
            result = index.read_headers(held.repository, shard.packs, reached, attempt, progress)
    elif order.kind is RepairKind.PACKS:
        result = packs.read_packs(run, shard.packs, reached, attempt, progress, dry_run=order.dry_run)
    else:
        result = snapshots.find_broken(run, shard.snapshots, reached, attempt, progress)
    return run.plan.conclude(number, result)


def finish_repair(run: RepairRun, on_step: Callable[[], None]) -> Report:
    """Change what is wrong; the run's report. The second call finds what the first one decided.

    on_step: called often; may raise to stop.

    Raises:
        RepositoryLockedError: another process uses the repository, and did not go in time; nothing was done.
        CorruptFileError: an index file cannot be read, and is needed; nothing was done.
        RunStateError, RunClosedError: results of the run are gone.
        StorageUnavailableError, StorageFullError, LockLostError: begun; doing it again finishes it.
    """
    workspace = run.workspace
    standing = load(workspace, REPORT, Report)
    if standing is not None:
        return standing
    opening = load_opening(workspace, Opening)
    order, shards = opening.order, run.plan.page(0).shards
    if order.kind is RepairKind.PACKS:
        report = packs.save_and_remove(run, shards, dry_run=order.dry_run)
        return conclude(workspace, REPORT, report)
    with _lock(run, on_step, dry_run=order.dry_run) as check_lock:
        if order.kind is RepairKind.INDEX:
            report = index.rewrite_index(run, shards, check_lock, dry_run=order.dry_run)
        else:
            report = snapshots.store_repaired(
                run, shards, opening.unreadable, check_lock, forget=order.forget, dry_run=order.dry_run
            )
    return conclude(workspace, REPORT, report)


@contextmanager
def _lock(run: RepairRun, on_step: Callable[[], None], *, dry_run: bool) -> Iterator[Callable[[], None]]:
    """What looks at the lock before each change: the exclusive one; the shared one where nothing is changed."""
    if dry_run:
        with run.session.hold():
            yield on_step
        return
    with ExclusiveLock(run.session.repository, wait_s=WAIT_FOR_OTHERS_S) as lock:

        def check() -> None:
            on_step()
            lock.check()

        yield check
