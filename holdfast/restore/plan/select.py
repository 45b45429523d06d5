"""Plans a restore page by page: walks the snapshot's trees and compares them with what is on disk (runs/plan.py).

The first page is small, so that restoring starts at once; later ones are large. Nothing is created on disk here.
"""

import os
import time
from functools import partial
from typing import Final

from holdfast.ids import BlobId
from holdfast.repository.packs.loader import find_node
from holdfast.restore.documents import KnownLinks, Page
from holdfast.restore.plan.planner import Planner
from holdfast.restore.plan.selection import Selection
from holdfast.restore.plan.walk import SnapshotWalk
from holdfast.restore.plan.writer import PlanWriter
from holdfast.restore.rules import Rules
from holdfast.restore.run import RestoreRun, RestoreWriter
from holdfast.restore.target import open_target
from holdfast.runs.progress import Progress

MAX_PAGE_S: Final = 20.0
_PROGRESS_ENTRIES: Final = 512
_LINKS: Final = "links"


def _nobody_looks(_entries: int, _bytes: int) -> None:
    """The progress that nobody is told."""


def select_page(run: RestoreRun, page: int, progress: Progress = _nobody_looks) -> Page:
    """Plan one page; pages come in order, each goes on where the one before it ended. Creates nothing on disk.

    Raises:
        RunClosedError: the run was not opened, or is over.
        RunStateError: the page before is not there.
        CorruptFileError, BlobMissingError: the snapshot's own root tree cannot be read.
        StorageUnavailableError, StorageFullError, LockLostError: from the repository.
    """
    return run.plan.select(page, partial(_plan_page, run, page, progress))


def _plan_page(
    run: RestoreRun, page: int, progress: Progress, pages: RestoreWriter, before: Page | None
) -> Page:
    opening = run.opening
    next_file = 0 if before is None else before.next_file
    limit = run.sizes.page_entries if page else run.sizes.first_page_entries
    selection = Selection(run.options, opening.only, () if before is None else before.matched)
    walk = SnapshotWalk(run.loader.load_tree, selection, BlobId(opening.tree))
    if before is not None:
        walk.resume(before.open_directories, before.after)
    writer = PlanWriter(pages, run.sizes)
    target = open_target(opening.target)
    try:
        planner = Planner(walk, run.held.index, target, Rules(run, opening), writer, next_file, run.sizes)
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
        run.held.confirm()
    if planner.new_links:
        pages.write(_LINKS, KnownLinks(links=tuple(planner.new_links)))
    open_directories, after = walk.cursor()
    return Page(
        token=pages.token,
        last=last,
        parts=pages.parts,
        first_shard=pages.first_shard,
        shards=pages.shards,
        next_file=planner.next_file,
        counts=counts,
        links=len(planner.new_links),
        open_directories=open_directories,
        after=after,
        matched=tuple(sorted(selection.matched)),
        broken=broken,
    )


def _walk(walk: SnapshotWalk, planner: Planner, limit: int, progress: Progress) -> bool:
    """Feed the planner until the page has `limit` entries; True at the end of the walk."""
    deadline = time.monotonic() + MAX_PAGE_S
    for seen, step in enumerate(walk.steps(), start=1):
        if step is not None:
            planner.take(step)
        if seen % _PROGRESS_ENTRIES == 0:
            progress(seen, 0)
            if time.monotonic() > deadline:
                return False
        if seen >= limit:
            return False
    return True


def _load_links(run: RestoreRun, page: int, planner: Planner) -> None:
    for number, earlier in enumerate(run.plan.pages(page)):
        if earlier.links:
            planner.know_links(run.plan.beside(number, earlier, _LINKS, KnownLinks).links)


def missing_paths(run: RestoreRun, selection: Selection, tree: BlobId) -> list[bytes]:
    """The exact paths that were asked for and are not in the snapshot, in order."""
    named = [path for path in sorted(selection.exact_paths) if path.strip(b"/")]
    return [path for path in named if find_node(run.held.loader.load_tree, tree, path) is None]
