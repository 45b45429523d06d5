"""Plans a restore page by page: walks the snapshot's trees and compares them with what is on disk.

    1. a page that was decided is returned at once;
    2. the walk goes on where the page before ended; records and shards are written under a fresh token, so attempts
       that race write beside each other;
    3. the page's document is created if absent: whoever comes second takes the first one's plan;
    4. each shard gets its origin, a note under which token its plan lies. A crash between 3 and 4 is mended by the next
       attempt, which finds the page decided and writes the origins that are missing.

The first page is small, so that restoring starts at once; later ones are large. Nothing is created on disk here.
"""

import os
import secrets
import time
from typing import Final

from holdfast.errors import RunStateError
from holdfast.ids import BlobId
from holdfast.repository.documents import decide, encode, load
from holdfast.restore.documents import (
    OPENING,
    KnownLinks,
    Opening,
    Page,
    ShardOrigin,
    links_name,
    page_name,
    shard_name,
)
from holdfast.restore.making_room import Rules
from holdfast.restore.plan_writer import PlanWriter
from holdfast.restore.planner import Planner
from holdfast.restore.run import PageSummary, Progress, RestoreRun, ShardProgress
from holdfast.restore.selection import Selection
from holdfast.restore.target import open_target
from holdfast.restore.walk import SnapshotWalk

MAX_PAGE_S: Final = 20.0
_PROGRESS_ENTRIES: Final = 512
_TOKEN_BYTES: Final = 8


def select_page(run: RestoreRun, page: int, progress: Progress | None = None) -> PageSummary:
    """Plan one page; pages come in order, each goes on where the one before it ended. Creates nothing on disk.

    Raises:
        RunStateError: the run was not opened, or the page before is not there.
        CorruptFileError, BlobMissingError: the snapshot's own root tree cannot be read.
        StorageUnavailableError, StorageFullError, LockLostError: from the repository.
    """
    standing = load(run.workspace, page_name(page), Page)
    if standing is None:
        standing = decide(run.workspace, page_name(page), _plan(run, page, progress))
    for shard in range(standing.first_shard, standing.first_shard + standing.shards):
        origin = ShardOrigin(page=page, token=standing.token)
        run.workspace.put_new(shard_name(shard, "origin"), encode(origin))
    return PageSummary(
        page=page,
        first_shard=standing.first_shard,
        shards=standing.shards,
        last=standing.last,
        counts=standing.counts,
    )


def load_opening(run: RestoreRun) -> Opening:
    """The run's decisions.

    Raises:
        RunStateError: it was not opened, or it is over.
    """
    opening = load(run.workspace, OPENING, Opening)
    if opening is None:
        raise RunStateError("the restore run was not opened, or it is over")
    return opening


def load_page(run: RestoreRun, page: int) -> Page:
    """A decided page.

    Raises:
        RunStateError: it is not there.
    """
    found = load(run.workspace, page_name(page), Page)
    if found is None:
        raise RunStateError(f"page {page} of the restore's plan is not there")
    return found


def _plan(run: RestoreRun, page: int, progress: Progress | None) -> Page:
    opening = load_opening(run)
    before = load_page(run, page - 1) if page else None
    first_shard = 0 if before is None else before.first_shard + before.shards
    first_file = 0 if before is None else before.next_file
    limit = run.sizes.page_entries if page else run.sizes.first_page_entries
    token = secrets.token_hex(_TOKEN_BYTES)
    selection = Selection(run.options, opening.only, () if before is None else before.matched)
    walk = SnapshotWalk(run.loader.load_tree, selection, BlobId(opening.tree))
    if before is not None:
        walk.resume(before.open_directories, before.after)
    writer = PlanWriter(run.workspace, page, token, first_shard, run.sizes)
    target = open_target(opening.target)
    try:
        planner = Planner(walk, run.index, target, Rules(run, opening), writer, first_file, run.sizes)
        _load_links(run, page, planner)
        if before is None:
            for path in missing_paths(run, selection, BlobId(opening.tree)):
                planner.fail(path[1:], "the snapshot has no such path")
        last = _walk(walk, planner, limit, progress)
        broken = planner.broken + (0 if before is None else before.broken)
        if last and not broken:
            for pattern in selection.unmatched:
                planner.fail(
                    os.fsencode(pattern).lstrip(b"/"), "nothing in the snapshot matches this pattern"
                )
    finally:
        if target is not None:
            target.close()
    writer.finish()
    counts = planner.counts()
    if counts.errors:
        run.confirm()
    if planner.new_links:
        run.workspace.put(links_name(page, token), encode(KnownLinks(links=tuple(planner.new_links))))
    open_directories, after = walk.cursor()
    return Page(
        token=token,
        last=last,
        parts=writer.parts,
        first_shard=first_shard,
        shards=writer.next_shard - first_shard,
        first_file=first_file,
        next_file=planner.next_file,
        counts=counts,
        links=len(planner.new_links),
        open_directories=open_directories,
        after=after,
        matched=tuple(sorted(selection.matched)),
        broken=broken,
    )


def _walk(walk: SnapshotWalk, planner: Planner, limit: int, progress: Progress | None) -> bool:
    """Feed the planner until the page has `limit` entries; True at the end of the walk."""
    deadline = time.monotonic() + MAX_PAGE_S
    for seen, step in enumerate(walk.steps(), start=1):
        if step is not None:
            planner.take(step)
        if seen % _PROGRESS_ENTRIES == 0:
            if progress is not None:
                progress(ShardProgress(files_done=seen))
            if time.monotonic() > deadline:
                return False
        if seen >= limit:
            return False
    return True


def _load_links(run: RestoreRun, page: int, planner: Planner) -> None:
    for number in range(page):
        earlier = load_page(run, number)
        if earlier.links:
            found = load(run.workspace, links_name(number, earlier.token), KnownLinks)
            if found is None:
                raise RunStateError(f"the links of page {number} of the restore's plan are not there")
            planner.know_links(found.links)


def missing_paths(run: RestoreRun, selection: Selection, tree: BlobId) -> list[bytes]:
    """The exact paths that were asked for and are not in the snapshot, in order."""
    missing = []
    for path in sorted(selection.exact_paths):
        current: BlobId | None = tree
        for name in filter(None, path.split(b"/")):
            children = [] if current is None else run.loader.load_tree(current)
            node = next((child for child in children if child.name == name), None)
            if node is None:
                missing.append(path)
                break
            current = node.subtree_id
    return missing
