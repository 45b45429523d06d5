"""Opens a restore run: finds the snapshot, checks the target, and decides both once."""

from dataclasses import dataclass

from holdfast.errors import SnapshotNotFoundError
from holdfast.format.coverage import NO_GAPS, gaps_of, root_gaps
from holdfast.format.snapshot import Snapshot, SnapshotFilters
from holdfast.format.tree import Node
from holdfast.ids import BlobId, from_hex
from holdfast.repository.snapshots import find_snapshot
from holdfast.restore.documents import Coverage, Opening
from holdfast.restore.plan.selection import Selection
from holdfast.restore.plan.space import has_room
from holdfast.restore.plan.ways import SourceWays
from holdfast.restore.request import RestoreOptions
from holdfast.restore.run import RestoreRun
from holdfast.restore.target import is_there, kept_of_target
from holdfast.runs.opening import open_run


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedRestore:
    """The run is open. resumed: it was before. has_room: the target can take the whole snapshot, so shards may be
    restored before the plan is whole."""

    opening: Opening
    resumed: bool
    has_room: bool


def open_restore(run: RestoreRun, *, is_new: bool = False) -> OpenedRestore:
    """Validate the request and pin the snapshot for the whole run; the second call finds what the first decided.

    is_new: as `open_run` takes it.

    Raises:
        UsageError: the request contradicts itself.
        TargetError: the target cannot be used as asked.
        SnapshotNotFoundError: no snapshot, or no such subfolder in it.
    """
    opening, resumed = open_run(run.workspace, Opening, lambda: _decide(run), is_new=is_new)
    return OpenedRestore(opening=opening, resumed=resumed, has_room=has_room(run, opening))


def _decide(run: RestoreRun) -> Opening:
    options = run.options
    options.check()
    Selection(options)
    stored = find_snapshot(
        run.held.repository,
        options.snapshot_name,
        options.which,
        ignore_damaged=options.ignore_damaged,
    )
    run.held.reach(BlobId(from_hex(stored.snapshot.tree)))
    tree, root, only = _find_subfolder(run, stored.snapshot, options)
    subfolder = options.subfolder.rpartition(b"/")[0] if only else options.subfolder
    target = options.target or subfolder or b"/"
    summary = stored.snapshot.summary
    coverage = _coverage(stored.snapshot, subfolder, root)
    only_leads = (
        bool(only) or options.limits_selection or SourceWays(coverage.paths, coverage.subfolder).has(b"")
    )
    keeps_own_attributes = is_there(target) and (options.target is not None or only_leads)
    return Opening(
        snapshot=stored.id,
        tree=tree,
        time_ns=stored.time_ns,
        host=stored.snapshot.hostname,
        target=target,
        root=None if keeps_own_attributes or (only and options.target is not None) else root,
        only=only,
        ahead=stored.ahead,
        whole_bytes=None if summary is None else summary.total_bytes_processed,
        kept=kept_of_target(target) if keeps_own_attributes or root is None else None,
        in_place=options.target is None,
        coverage=coverage,
    )


def _coverage(snapshot: Snapshot, subfolder: bytes, root: Node | None) -> Coverage:
    gaps = root_gaps(snapshot)
    return Coverage(
        vouched=gaps is not None,
        paths=tuple(snapshot.paths or ()),
        subfolder=subfolder,
        gaps=tuple(sorted((gaps or NO_GAPS) if root is None else gaps_of(root.error))),
        excludes=tuple(snapshot.excludes or ()),
        filters=snapshot.filters or SnapshotFilters(),
    )


def _find_subfolder(
    run: RestoreRun, snapshot: Snapshot, options: RestoreOptions
) -> tuple[BlobId, Node | None, bytes]:
    """The tree to restore from, its node, and the name of the one file in it that is meant (or b"")."""
    tree = BlobId(from_hex(snapshot.tree))
    above: Node | None = None
    names = options.subfolder.split(b"/")[1:]
    for depth, name in enumerate(names, start=1):
        node = next((child for child in run.held.loader.load_tree(tree) if child.name == name), None)
        if node is None:
            raise SnapshotNotFoundError(
                "the snapshot has no such subfolder", hint="`holdfast ls` shows what it holds."
            )
        if not node.is_directory or node.subtree_id is None:
            if depth < len(names) or options.limits_selection:
                raise SnapshotNotFoundError(
                    "what was named after the snapshot is no directory in it, so nothing in it can be selected",
                    hint="Name its directory, or leave out patterns and paths.",
                )
            return tree, above, name
        tree, above = node.subtree_id, node
    return tree, above, b""
