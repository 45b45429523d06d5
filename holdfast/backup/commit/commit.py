"""Commit a run: merge plan and results into trees, check every blob, write the snapshot. Exactly once.

1. the outcome that stands is returned (`open_backup` finds a snapshot with the run's tag before it comes to this);
2. plan and results are merged in walk order, bottom up; every blob that a node names is looked up in an index
   loaded under the lock. What is missing goes back: shards to be stored again, or a rescan;
3. tree packs become durable, then their index file;
4. every pack that the snapshot will need is seen again, and the lock, and the index files that were believed: a prune
   may have run while an attempt, or this one, was frozen. A pack that is gone is marked, so that nobody believes
   what the index says of it, and what it held goes back as in 2;
5. the sealed snapshot is created as a document of the run: an attempt that comes second takes the first one's bytes,
   unless these name a tree that is not whole any more (then nobody has acknowledged them, and they are decided again);
6. these bytes are put under their own hash. Attempts that race write the same file: one snapshot (invariant 4);
7. the lock is looked for again. If it has gone, the next attempt begins with 2, and this one says nothing. Killed in
   between, a run that goes on finds the snapshot, and whether it is whole (opening.py); one that is not is removed
   when there is another;
8. the outcome is created as a document.
"""

import logging
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

import msgspec

from holdfast import __version__
from holdfast.backup.commit.decided_snapshot import decide_snapshot, packs_gone, remove_superseded
from holdfast.backup.commit.merge import TreeMerger
from holdfast.backup.commit.plan_reader import PlanReader, ReadOutcome
from holdfast.backup.documents import (
    CommitResult,
    Enter,
    Keep,
    Lacks,
    Opening,
    Remark,
    Stored,
    Unreadable,
)
from holdfast.backup.opening import BackupOrder, begun_ns, run_tag, snapshot_paths
from holdfast.backup.run import BackupRun
from holdfast.errors import RunStateError
from holdfast.format.coverage import Gap, coverage_tag
from holdfast.format.index import BlobType, IndexPack
from holdfast.format.sealed import encode_file
from holdfast.format.snapshot import Snapshot, SnapshotFilters, SnapshotSummary, encode_snapshot
from holdfast.format.tags import SOURCE_TAG, STATUS_TAG, STRATEGY_TAG
from holdfast.format.times import format_time
from holdfast.format.tree import Node
from holdfast.ids import BlobId, PackId, from_hex, sha256, to_hex
from holdfast.repository.damage import DamagedPack, DamageMarks
from holdfast.repository.documents import decide, load
from holdfast.repository.index.map import IndexMap
from holdfast.repository.kept_trees import look_through
from holdfast.repository.packs.packer import Packer
from holdfast.repository.session import HeldRepository
from holdfast.repository.snapshots import save_sealed
from holdfast.runs.opening import load_opening
from holdfast.runs.plan import Leave, MissingResultError
from holdfast.source.spec import FilterRules
from holdfast.terms import RunStatus, SnapshotTotals

_LOG: Final = logging.getLogger(__name__)
_TREE_PACK_BYTES: Final = 4 * 1024 * 1024
_TREE_BUFFERS: Final = 3
"""Packs of restic's smallest size, and one more than are filled: a commit has much else at hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitOutcome:
    """The snapshot is written (`result`), or work must be redone first."""

    result: CommitResult | None = None
    missing_shards: tuple[int, ...] = ()
    rescan: bool = False


@dataclass(slots=True)
class _Merged:
    """What a pass over plan and results found."""

    tree: BlobId | None = None
    root_mark: str = ""
    missing_shards: set[int] = field(default_factory=set)
    rescan: bool = False
    files: int = 0
    directories: int = 0
    bytes_total: int = 0
    errors: int = 0
    tree_packs: list[IndexPack] = field(default_factory=list)
    packs: set[PackId] = field(default_factory=set)
    """All that the snapshot needs."""

    @property
    def tree_blobs(self) -> int:
        return sum(len(pack.blobs) for pack in self.tree_packs)

    @property
    def tree_bytes(self) -> int:
        return sum(blob.plaintext_bytes for pack in self.tree_packs for blob in pack.blobs)

    @property
    def tree_bytes_packed(self) -> int:
        return sum(blob.length for pack in self.tree_packs for blob in pack.blobs)


def commit_run(run: BackupRun, order: BackupOrder, pages: int, shards: int) -> CommitOutcome:
    """Write the run's snapshot from a plan of `pages` pages and `shards` shards.

    Raises:
        RunStateError: the run's plan is gone; it must be opened again.
        RunClosedError: the run was closed before.
        StorageUnavailableError, StorageFullError, StorageDeniedError, LockLostError, CorruptFileError.
    """
    workspace, session = run.workspace, run.session
    done = load(workspace, run.name("committed"), CommitResult)
    if done is not None:
        return CommitOutcome(result=done)
    opening = load_opening(workspace, Opening)
    opening = msgspec.structs.replace(opening, started_ns=begun_ns(workspace, opening))
    with session.hold() as held:
        try:
            merged, reader = _merged(held, run, pages, shards)
        except MissingResultError as error:
            return CommitOutcome(missing_shards=(error.shard,))
        if merged.rescan:
            return CommitOutcome(rescan=True)
        if merged.missing_shards:
            return _store_again(run, merged.missing_shards)
        gone = packs_gone(held, merged.packs)
        if gone:
            return _send_back(run, held, gone, merged, reader)
        snapshot = _snapshot(run.run_id, order, opening, merged, _summary(reader, opening, merged))
        sealed = encode_file(
            session.repository.sealer(), encode_snapshot(snapshot), version=session.repository.version
        )
        standing = decide_snapshot(run, held, sealed, BlobId(from_hex(snapshot.tree)))
        snapshot_id = save_sealed(session.repository, standing)
        held.confirm_lock()
        remove_superseded(run, snapshot_id)
    return CommitOutcome(
        result=decide(
            workspace,
            run.name("committed"),
            CommitResult(
                snapshot=snapshot_id,
                totals=SnapshotTotals(
                    files=merged.files,
                    bytes_total=merged.bytes_total,
                    tree_blobs=merged.tree_blobs,
                    data_added=merged.tree_bytes,
                    data_added_packed=merged.tree_bytes_packed,
                    errors=merged.errors,
                ),
                packs=(*reader.packs, *(pack.id for pack in merged.tree_packs)),
            ),
        )
    )


def _send_back(
    run: BackupRun, held: HeldRepository, gone: list[PackId], merged: _Merged, reader: PlanReader
) -> CommitOutcome:
    """Mark packs that are gone, and say what must be done again.

    Raises:
        LockLostError: the commit alone must be, because it is its own trees that are gone.
    """
    marks = DamageMarks(held.repository)
    for pack in gone:
        marks.put(DamagedPack(pack=pack, whole=True))
    held.note_marks()
    _LOG.warning(
        "%s: %d packs that the index names are gone, and what the source has of them is stored again; restic may look "
        "for them until `holdfast verify` has taken them out of the index",
        held.repository.storage.location,
        len(gone),
    )
    own = {pack.id for pack in merged.tree_packs}
    shards = {reader.packs[pack] for pack in gone if pack in reader.packs}
    if any(pack not in own and pack not in reader.packs for pack in gone):
        return CommitOutcome(rescan=True)
    if not shards:
        raise held.broken("packs that we have stored were removed")
    return _store_again(run, shards)


def _store_again(run: BackupRun, shards: Collection[int]) -> CommitOutcome:
    for shard in shards:
        run.plan.do_again(shard)
    return CommitOutcome(missing_shards=tuple(sorted(shards)))


def _merged(held: HeldRepository, run: BackupRun, pages: int, shards: int) -> tuple[_Merged, PlanReader]:
    """Plan and results, merged; once more where something is missing, and the index had not all that is there."""
    reader = PlanReader(run, pages, shards)
    merged = _merge(held, reader)
    if (merged.rescan or merged.missing_shards) and held.refresh():
        reader = PlanReader(run, pages, shards)
        merged = _merge(held, reader)
    return merged, reader


def _merge(held: HeldRepository, reader: PlanReader) -> _Merged:
    """One pass over the plan; the tree packs and their index are durable when it returns."""
    with Packer(
        held.repository,
        BlobType.TREE,
        compression=held.compression,
        pack_size_bytes=min(held.pack_size_bytes, _TREE_PACK_BYTES),
        buffers=_TREE_BUFFERS,
        check_lock=held.check_lock,
    ) as packer:
        merge = _Merge(held, packer)
        merge.run(reader)
        packer.flush()
        merge.found.tree_packs = packer.take_stored()
    held.write_index(merge.found.tree_packs)
    merge.found.packs.update(reader.packs, (pack.id for pack in merge.found.tree_packs))
    return merge.found


class _Merge:
    """The pass over plan and results: builds trees, checks blobs, counts."""

    def __init__(self, held: HeldRepository, packer: Packer) -> None:
        self._held = held
        self._index = held.index
        self.found = _Merged()
        self._merger = TreeMerger(_NewTrees(held.index, packer, self.found.packs).save)

    def run(self, reader: PlanReader) -> None:
        for record in reader.merged():
            match record:
                case ReadOutcome():
                    self._read(record)
                case Keep():
                    self._keep(record.node)
                case Enter():
                    self._merger.enter(record.node)
                    self.found.directories += 1
                case Leave():
                    self._merger.leave()
                case Unreadable():
                    self.found.errors += 1
                case Lacks():
                    self._merger.lacks(record.gap)
                case Remark():
                    self.found.errors += record.lost
                case _:
                    raise RunStateError("the plan of this run holds a record of an unknown kind")
        self.found.tree = self._merger.finish()
        self.found.root_mark = self._merger.root_mark

    def _keep(self, node: Node) -> None:
        tree = node.subtree_id
        if tree is not None:
            self._count_kept(tree)
        elif node.is_file:
            self.found.files += 1
            self.found.bytes_total += node.size
            if self._index.measure(node.content or (), self.found.packs) is None:
                self.found.rescan = True
        self._merger.add(node)

    def _count_kept(self, tree: BlobId) -> None:
        """Count an unchanged subtree, and look for all its blobs unless that was done under this very index."""
        whole = self._held.whole_trees.get(tree)
        if whole is None:
            whole = look_through(self._held, tree)
            if whole is None:
                self.found.rescan = True
                return
            self._held.whole_trees.add(tree, whole)
        self.found.packs |= whole.packs
        self.found.directories += whole.directories
        self.found.files += whole.files
        self.found.bytes_total += whole.bytes_total

    def _read(self, record: ReadOutcome) -> None:
        measure, packs = self._index.measure, self.found.packs
        stored: list[Stored] = []
        for outcome, shard in zip(record.outcomes, record.shards, strict=True):
            if type(outcome) is not Stored:
                self.found.errors += 1
                self._merger.lacks(Gap.UNREADABLE)
                return
            stored.append(outcome)
            if measure(outcome.node.content or (), packs) is None:
                self.found.missing_shards.add(shard)
        if any(outcome.lost for outcome in stored):
            self.found.errors += 1
        node = stored[0].node if len(stored) == 1 else join_segments(stored)
        self.found.files += 1
        self.found.bytes_total += node.size
        self._merger.add(node)


class _NewTrees:
    """Stores the trees that the repository does not have.

    Apart from the pass: with the merger, that would be a circle of references, in which index and cached trees outlive
    the session that let go of them until the collector of cycles looks, which is seldom.
    """

    def __init__(self, index: IndexMap, packer: Packer, packs: set[PackId]) -> None:
        """packs: gets those of the trees that are there."""
        self._index = index
        self._packer = packer
        self._packs = packs
        self._own: set[BlobId] = set()

    def save(self, tree: bytes) -> BlobId:
        """Store one, unless it is there; its id."""
        blob = BlobId(sha256(tree))
        if blob in self._own:
            return blob
        if self._index.has(blob, BlobType.TREE):
            location = self._index.lookup(blob, BlobType.TREE)
            if location is not None:
                self._packs.add(location.pack)
            return blob
        self._packer.add(blob, tree)
        self._own.add(blob)
        return blob


def join_segments(stored: list[Stored]) -> Node:
    """One node for a file that was read in segments: the metadata as last seen, all content, the size that was read."""
    content = [blob for outcome in stored for blob in outcome.node.content_ids]
    return stored[-1].node.with_content(content, size=sum(outcome.size_bytes for outcome in stored))


def _summary(reader: PlanReader, opening: Opening, merged: _Merged) -> SnapshotSummary:
    selected, stored = reader.selected, reader.stored
    return SnapshotSummary(
        backup_start=format_time(opening.started_ns),
        backup_end=format_time(time.time_ns()),
        files_new=selected.files_new,
        files_changed=selected.files_changed,
        files_unmodified=selected.files_unmodified,
        dirs_new=selected.dirs_new,
        dirs_changed=selected.dirs_changed,
        dirs_unmodified=selected.dirs_unmodified,
        data_blobs=stored.data_blobs,
        tree_blobs=merged.tree_blobs,
        data_added=stored.data_added + merged.tree_bytes,
        data_added_packed=stored.data_added_packed + merged.tree_bytes_packed,
        total_files_processed=merged.files,
        total_bytes_processed=merged.bytes_total,
    )


def _snapshot(
    run_id: str,
    order: BackupOrder,
    opening: Opening,
    merged: _Merged,
    summary: SnapshotSummary,
) -> Snapshot:
    if merged.tree is None:
        raise RunStateError("the run's plan is empty")
    status = RunStatus.PARTIAL if merged.errors else RunStatus.COMPLETE
    tags = [*order.tags, run_tag(run_id), STATUS_TAG + status, STRATEGY_TAG + opening.strategy]
    tags += [SOURCE_TAG + order.source] if order.source else []
    filters = order.spec.filters
    snapshot = Snapshot(
        time=format_time(opening.started_ns),
        parent=to_hex(opening.parent) if opening.parent else None,
        tree=to_hex(merged.tree),
        paths=snapshot_paths(order.spec),
        hostname=opening.host,
        username=order.username,
        excludes=list(filters.excludes) or None,
        program_version=f"holdfast {__version__}",
        summary=summary,
        filters=_other_filters(filters),
    )
    return msgspec.structs.replace(snapshot, tags=[*tags, coverage_tag(snapshot, merged.root_mark)])


def _other_filters(rules: FilterRules) -> SnapshotFilters | None:
    """What a snapshot's `excludes` do not say."""
    filters = SnapshotFilters(
        iexcludes=rules.iexcludes,
        exclude_if_present=rules.exclude_if_present,
        exclude_caches=rules.exclude_caches,
        exclude_larger_than_bytes=rules.exclude_larger_than_bytes,
    )
    return None if filters == SnapshotFilters() else filters
