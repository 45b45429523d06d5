"""Open a prune: is it refused, and which trees are walked, in which shards?

1. an open alarm, or clocks that differ, end it before anything is written;
2. the opening is decided, and the roots are listed, and cut into shards (cut.py): the only page of marking. A snapshot
   that comes later is walked by `switch`;
3. what was decided before stands: a resumed prune marks what the first attempt has listed.
"""

from dataclasses import dataclass

from holdfast.prune.cut import cut
from holdfast.prune.documents import (
    ROOTS,
    MarkPage,
    MarkShard,
    Opening,
    PruneOrder,
    PruneRun,
    Root,
    Roots,
)
from holdfast.prune.refusals import refuse_alarm, refuse_skew, refuse_unreadable_snapshot, refuse_unseen
from holdfast.repository.snapshots import list_snapshots
from holdfast.runs.opening import open_run
from holdfast.runs.plan import NoRecord, PageWriter
from holdfast.runs.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedPrune:
    """The run is open. shards: of marking. resumed: it was open before."""

    opening: Opening
    shards: int
    snapshots: int
    resumed: bool


def open_prune(
    run: PruneRun,
    order: PruneOrder,
    now_ns: int,
    *,
    host: str = "",
    progress: Progress = lambda _trees, _bytes: None,
) -> OpenedPrune:
    """Open the run, or find it open. host: the name that this one goes by in snapshots. progress: trees.

    Raises:
        UsageError: an alarm is open, the clocks differ by more than five minutes, or several hosts use a repository
            whose companion they do not share.
        CorruptFileError: a snapshot or an index file cannot be read.
        RepositoryLockedError, StorageUnavailableError, …: from the repository.
    """
    refuse_alarm(order.alarm)

    def plan_page(writer: PageWriter[NoRecord, MarkShard], _before: MarkPage | None) -> MarkPage:
        stored = list_snapshots(run.session.repository, on_unreadable=refuse_unreadable_snapshot)
        refuse_unseen(
            run.session.repository, {*(one.snapshot.hostname for one in stored), *filter(None, [host])}
        )
        roots = [Root(bytes.fromhex(snapshot.snapshot.tree), snapshot.id) for snapshot in stored]
        roots += opening.order.roots
        writer.write(ROOTS, Roots(tuple(roots)))
        for shard in cut(held, roots, progress):
            writer.write_shard(shard)
        return MarkPage(token=writer.token, shards=writer.shards, snapshots=len(stored))

    with run.session.hold() as held:
        refuse_skew(held)
        held.refresh()
        held.files.check_whole()
        opening, resumed = open_run(run.workspace, Opening, lambda: Opening(order=order, started_ns=now_ns))
        page = run.marks.select(0, plan_page)
    return OpenedPrune(opening=opening, shards=page.shards, snapshots=page.snapshots, resumed=resumed)
