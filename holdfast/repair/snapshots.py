"""Snapshots that lack something are stored again without it. Source: restic, cmd/restic/cmd_repair_snapshots.go.

What is lacking: a blob that no index file names, or that is marked as damaged and cannot be read from anywhere; a tree
that cannot be read. A file keeps what there is of its content, in order, and its size becomes that of this. A directory
whose tree is lost becomes an empty one, with the mark that it was not read whole (format/coverage.py). Nodes of no kind
go.

The long part walks the trees of all chosen snapshots, each tree once, and notes those in which or below which something
is wrong. The short part, under the exclusive lock, goes down only there. For each broken snapshot:

    1. its trees are written as they are to be, and stored in new packs;
    2. these are indexed;
    3. the new snapshot is stored, unless one that says the same is there;
    4. with `forget`, the broken one is removed.

A crash leaves, before 2, packs that no index names, which the next prune removes; before 3, trees that nothing needs;
before 4, both snapshots. Doing it again finds what is there. A snapshot whose root is lost is removed with `forget`,
and only with it; restic removes it in any case. One that is held (retention/holds.py) stays, whatever is asked, and
so does one that an alarm may be about.

The new snapshot says what it is: the tag "repaired", in `original` the broken one's id; and where the tag of ours says
that the backup was complete, it says partial. Nothing vouches for what it covers, because its tree is another.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from holdfast.errors import StoredFileMissingError
from holdfast.format.coverage import COVERAGE_TAG
from holdfast.format.index import BlobType
from holdfast.format.tags import STATUS_TAG
from holdfast.ids import BlobId, SnapshotId, from_hex, to_hex
from holdfast.repair.documents import RepairRun, Report, ShardPlan, ShardResult, ids_in
from holdfast.repair.trees import Eyes, Rewriter
from holdfast.repository.caching import past_cache
from holdfast.repository.index.files import IndexLoader
from holdfast.repository.index.rewrite import write_checked
from holdfast.repository.layout import SNAPSHOTS, file_name
from holdfast.repository.packs.loader import BlobLoader
from holdfast.repository.packs.packer import Packer
from holdfast.repository.repository import Repository
from holdfast.repository.snapshots import StoredSnapshot, list_snapshots, load_snapshot, replace_snapshot
from holdfast.repository.touched_trees import TouchedTrees
from holdfast.retention.holds import Proofs, protections
from holdfast.retention.protection import Protections
from holdfast.runs.attempts import Attempt
from holdfast.runs.progress import Progress
from holdfast.terms import RunStatus

REPAIRED_TAG: Final = "repaired"
_SAVE_S: Final = 5.0


def cut(snapshots: Sequence[bytes]) -> Iterator[ShardPlan]:
    """One shard: what snapshots have in common is walked once."""
    if snapshots:
        yield ShardPlan(snapshots=tuple(snapshots))


def find_broken(
    run: RepairRun, snapshots: Sequence[bytes], reached: ShardResult, attempt: Attempt, progress: Progress
) -> ShardResult:
    """Walk the trees of these snapshots, from where an earlier attempt came to.

    Raises:
        FencedError: a newer attempt has taken over, or the run was closed.
        LockLostError: what was not there may have been removed under us.
        CorruptFileError: an index file cannot be read, and what it names would count as lost.
    """
    saved_at = time.monotonic()
    before = set(ids_in(reached.touched))
    broken = list(reached.broken)
    trees = 0

    def on_tree() -> None:
        nonlocal trees
        trees += 1
        progress(trees, 0)

    with run.session.hold() as held:
        held.refresh()
        held.files.check_whole()
        bare = past_cache(held.repository)
        search = TouchedTrees(Eyes(held.index, held.loader_of_store(), on_tree).look)

        def result(done: int) -> ShardResult:
            held.confirm()
            touched = b"".join(sorted(before.union(search.touched())))
            return ShardResult(done=done, broken=tuple(broken), touched=touched)

        for done, snapshot in enumerate(snapshots[reached.done :], start=reached.done + 1):
            try:
                stored = load_snapshot(bare, SnapshotId(snapshot))
            except StoredFileMissingError:
                continue  # forgotten since
            if search.is_touched(BlobId(from_hex(stored.snapshot.tree))):
                broken.append(snapshot)
            if time.monotonic() - saved_at >= _SAVE_S:
                attempt.save(result(done))
                saved_at = time.monotonic()
        return result(len(snapshots))


def store_repaired(
    run: RepairRun,
    shards: int,
    unreadable: Sequence[bytes],
    check_lock: Callable[[], None],
    *,
    forget: bool,
    dry_run: bool,
) -> Report:
    """Store the broken snapshots as they can be had; steps 1 to 4 of the module for each.

    unreadable: snapshots whose files cannot be read; `forget` removes them. check_lock raises when the exclusive lock
    is lost.

    Raises:
        RunStateError: results of the run are gone.
        CorruptFileError: an index file cannot be read; nothing was done.
        StorageUnavailableError, StorageFullError, LockLostError: begun; doing it again finishes it.
    """
    repository = run.session.repository
    files = IndexLoader.loaded(repository)
    files.check_whole()
    results = list(run.plan.results(shards))
    broken = [SnapshotId(snapshot) for result in results for snapshot in result.broken]
    touched = {BlobId(tree) for result in results for tree in ids_in(result.touched)}
    standing = list_snapshots(repository)
    known = {stored.id: stored for stored in standing}
    protected = protections(repository, standing, Proofs(), time.time_ns())
    end = _End(repository, Report(), check_lock, protected, known, forget=forget, dry_run=dry_run)
    with Packer(
        repository,
        BlobType.TREE,
        compression=run.session.compression,
        pack_size_bytes=run.session.pack_size_bytes,
        check_lock=check_lock,
    ) as packer:
        save = (lambda _tree, _data: None) if dry_run else packer.add
        rewriter = Rewriter(
            files.index, BlobLoader(past_cache(repository), files.index), save, touched, end.report
        )
        for snapshot in broken:
            stored = known.get(snapshot)
            tree = None if stored is None else rewriter.rewrite(stored)
            if stored is None:
                end.find_successor(snapshot, standing)
            elif tree is None:
                end.let_go(snapshot)
            elif to_hex(tree) != stored.snapshot.tree:  # else a backup has since stored what it lacked
                if not dry_run:
                    packer.flush()
                    write_checked(repository, [pack.columns for pack in packer.take_stored()], check_lock)
                end.replace(stored, tree, standing)
    for unread in unreadable:
        end.let_go(SnapshotId(unread))
    return end.report


@dataclass(frozen=True, slots=True)
class _End:
    """Stores what replaces broken snapshots, removes what is to go, and counts both; in a dry run it only counts."""

    repository: Repository
    report: Report
    check_lock: Callable[[], None]
    protected: Protections
    known: Mapping[SnapshotId, StoredSnapshot]
    forget: bool
    dry_run: bool

    def replace(self, stored: StoredSnapshot, tree: BlobId, standing: Sequence[StoredSnapshot]) -> None:
        """Steps 3 and 4."""
        new = b""
        if not self.dry_run:
            new = replace_snapshot(
                self.repository,
                stored,
                _changes(stored, tree),
                self.check_lock,
                standing=standing,
                keep_old=not self._goes(stored.id),
            )
        self.report.snapshots_repaired.append((stored.id, new))

    def let_go(self, snapshot: SnapshotId) -> None:
        """Remove a snapshot of which nothing can be had, if that is wanted."""
        if not self._goes(snapshot):
            self.report.snapshots_left.append(snapshot)
            return
        if not self.dry_run:
            self.check_lock()
            self.repository.storage.delete(file_name(SNAPSHOTS, snapshot))
        self.report.snapshots_removed.append(snapshot)

    def _goes(self, snapshot: SnapshotId) -> bool:
        """Whether a broken snapshot is to go, and may. Of one that cannot be read only holds on its id are known, and
        it may be of any source: while an alarm is open, it stays."""
        stored = self.known.get(snapshot)
        if stored is None:
            return self.forget and snapshot not in self.protected.held and not self.protected.alarms
        return self.forget and not self.protected.holding(stored, time.time_ns())

    def find_successor(self, snapshot: SnapshotId, standing: Sequence[StoredSnapshot]) -> None:
        """Count what an earlier attempt has stored in place of a snapshot; one that was forgotten has nothing."""
        for other in standing:
            if other.snapshot.original == to_hex(snapshot) and REPAIRED_TAG in (other.snapshot.tags or ()):
                self.report.snapshots_repaired.append((snapshot, other.id))
                return


def _changes(stored: StoredSnapshot, tree: BlobId) -> dict[str, object]:
    """What is different in the new snapshot."""
    complete, partial = (STATUS_TAG + status for status in (RunStatus.COMPLETE, RunStatus.PARTIAL))
    tags = [
        partial if tag == complete else tag
        for tag in stored.snapshot.tags or ()
        if not tag.startswith(COVERAGE_TAG) and tag != REPAIRED_TAG
    ]
    return {"tree": to_hex(tree), "tags": [*tags, REPAIRED_TAG], "original": to_hex(stored.id)}
