"""Select: a page of the walk, compared with the parent, cut into shards. Bounded, and decided once (runs/plan.py).

Pages grow: the first is small, so that storing starts at once; later ones are large, so that a walk of millions of
files takes few activities.
"""

import os
import time
from functools import partial
from typing import Final

from holdfast.backup.documents import FileToRead, Opening, Page, Read, ShardPlan, Unreadable
from holdfast.backup.opening import parent_tree
from holdfast.backup.plan.parent import ParentView
from holdfast.backup.plan.planner import Planner
from holdfast.backup.plan.shards import cut_shards, take_full_shard
from holdfast.backup.run import BackupRun, BackupWriter
from holdfast.errors import SourceMissingError
from holdfast.repository.companion import own_directories
from holdfast.runs.opening import load_opening
from holdfast.runs.progress import Progress
from holdfast.sizes import BackupSizes
from holdfast.source.events import Files
from holdfast.source.spec import SourceSpec
from holdfast.source.walk import Walker
from holdfast.terms import SelectionTotals

PAGE_GROWTH: Final = 4
MAX_PAGE_S: Final = 20.0
MAX_PAGE_BYTES: Final = 64 * 1024**3
_PROGRESS_ENTRIES: Final = 512


def select_page(run: BackupRun, spec: SourceSpec, page: int, progress: Progress) -> Page:
    """Plan one page; the page that stands. progress: told the entries of the page, every few hundred.

    Raises:
        RunClosedError: the run was not opened, or is over.
        RunStateError: the page before is gone.
        SourceMissingError: no root of the source exists, or none gave anything but directories.
        StorageUnavailableError, StorageFullError, LockLostError, CorruptFileError: from the repository.
    """
    if spec.is_stream:
        return run.plan.select(page, partial(_plan_stream, spec))
    return run.plan.select(page, partial(_plan_page, run, spec, page, progress))


def _plan_page(
    run: BackupRun,
    spec: SourceSpec,
    number: int,
    progress: Progress,
    writer: BackupWriter,
    before: Page | None,
) -> Page:
    root = parent_tree(load_opening(run.workspace, Opening))
    sizes = run.session.sizes.backup
    with run.session.hold() as held:
        if root is not None:
            held.reach(root)
        walker = Walker(
            spec,
            cursor=None if before is None else before.cursor,
            skip=own_directories(held.repository),
        )
        planner = Planner(
            held.index,
            ParentView.resumed(held, root, () if before is None else before.open_directories),
            spec,
            walker.node,
            writer.add,
            sizes=sizes,
            distrusts_parent=run.generation > 0,
        )
        shards = _ShardWriter(writer, sizes)
        cursor = _walk(walker, planner, shards, number, progress, sizes)
        planner.finish()
        writer.flush()
        for plan in cut_shards(planner.to_read, sizes):
            shards.write(plan)
        return Page(
            token=writer.token,
            cursor=cursor or b"",
            last=cursor is None,
            parts=writer.parts,
            first_shard=writer.first_shard,
            shards=writer.shards,
            totals=planner.totals(),
            open_directories=planner.open_directories(),
        )


def _plan_stream(spec: SourceSpec, writer: BackupWriter, _before: Page | None) -> Page:
    """The only page of a source that is a stream: one file, whose size nobody knows yet."""
    writer.add([Read(spec.stream_name)])
    writer.flush()
    file = FileToRead(directory=0, name=spec.stream_name, size=0, inode=0)
    writer.write_shard(ShardPlan(directories=(b"/",), files=(file,), bytes_to_read=0))
    return Page(
        token=writer.token,
        parts=writer.parts,
        shards=writer.shards,
        totals=SelectionTotals(files_new=1, files_to_read=1),
    )


def _walk(
    walker: Walker,
    planner: Planner,
    shards: "_ShardWriter",
    page: int,
    progress: Progress,
    sizes: BackupSizes,
) -> bytes | None:
    """Feed the planner until the page is full; the cursor to go on from, or None at the end of the walk."""
    limit = min(sizes.first_page_entries * PAGE_GROWTH ** min(page, 8), sizes.page_entries)
    deadline = time.monotonic() + MAX_PAGE_S
    seen = told = 0
    for event in walker:
        planner.take(event)
        seen += len(event.names) if isinstance(event, Files) else 1
        if seen - told >= _PROGRESS_ENTRIES:
            told = seen
            progress(seen, 0)
            shards.write_full(planner)
            if time.monotonic() > deadline:
                return walker.cursor()
        if seen >= limit or planner.bytes_to_read >= MAX_PAGE_BYTES:
            return walker.cursor()
    if not walker.entries and not walker.allows_empty:
        _refuse_emptiness(planner.trouble)
    return None


def _refuse_emptiness(trouble: Unreadable | None) -> None:
    """A snapshot without any file would be taken for a backup."""
    why = "" if trouble is None else f"{os.fsdecode(trouble.path)}: {trouble.message}"
    raise SourceMissingError(
        f"nothing to back up: {why or 'there are only directories'}",
        hint="Check paths, rights, mounts and filters; with allow_empty (--allow-empty) directories alone will do.",
    )


class _ShardWriter:
    """Writes the plans of shards, those of very small files while the walk goes on: a page may have 20 MiB of names."""

    def __init__(self, writer: BackupWriter, sizes: BackupSizes) -> None:
        self._writer = writer
        self._sizes = sizes
        self._bytes = 0

    def write(self, plan: ShardPlan) -> None:
        self._writer.write_shard(plan)
        self._bytes += plan.bytes_to_read

    def write_full(self, planner: Planner) -> None:
        """Write the shards that will not become larger."""
        while plan := take_full_shard(planner.to_read, planner.bytes_to_read - self._bytes, self._sizes):
            self.write(plan)
