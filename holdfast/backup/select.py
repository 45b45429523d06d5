"""Select: one page of the walk, compared with the parent, cut into shards. Bounded, repeatable, decided once.

    1. a page that was decided is returned at once;
    2. the walk goes on at the previous page's cursor; records and shards are written under a fresh token, so that
       attempts which race write beside each other;
    3. the page's document is created if absent: whoever comes second drops its own plan and takes the first one's;
    4. each shard gets its origin: a note that says under which token its plan lies. A crash between 3 and 4 is mended
       by the next attempt, which finds the page decided and writes the origins that are not there.

Pages grow: the first is small, so that storing starts at once; later ones are large, so that a walk of millions of
files takes few activities.
"""

import os
import secrets
import time
from collections.abc import Callable
from typing import Final

from holdfast.backup.documents import (
    OPENING,
    FileToRead,
    Opening,
    Page,
    PlanRecord,
    Read,
    RunKey,
    ShardOrigin,
    ShardPlan,
    Totals,
    Unreadable,
)
from holdfast.backup.opening import parent_tree
from holdfast.backup.parent import ParentView
from holdfast.backup.planner import Planner
from holdfast.backup.shards import cut_shards, take_full_shard
from holdfast.errors import RunStateError, SourceMissingError
from holdfast.repository.documents import decide, encode, load
from holdfast.repository.session import HeldRepository, RepositorySession
from holdfast.runs.workspace import Workspace
from holdfast.sizes import BackupSizes
from holdfast.source.events import Files
from holdfast.source.spec import SourceSpec
from holdfast.source.walk import Walker
from holdfast.storage.locations import own_directory

PAGE_GROWTH: Final = 4
MAX_PAGE_S: Final = 20.0
MAX_PAGE_BYTES: Final = 64 * 1024**3
_PROGRESS_ENTRIES: Final = 512

OnEntries = Callable[[int], None]
"""Called every few hundred entries with the number seen so far; may raise to stop the walk."""


def select_page(
    session: RepositorySession,
    key: RunKey,
    spec: SourceSpec,
    page: int,
    first_shard: int,
    on_entries: OnEntries,
) -> Page:
    """Plan one page; the page that stands. Its shards are numbered from `first_shard`.

    Raises:
        RunStateError: the run was not opened, or the page before is gone.
        SourceMissingError: no root of the source exists, or none gave anything but directories.
        StorageUnavailableError, StorageFullError, LockLostError, CorruptFileError: from the repository.
    """
    workspace = Workspace(session.repository, key.run_id)
    standing = load(workspace, key.page(page), Page)
    if standing is None:
        if spec.command:
            standing = _plan_command(workspace, key, spec, page, first_shard)
        else:
            with session.hold() as held:
                standing = _plan_page(held, workspace, key, spec, page, first_shard, on_entries)
    for shard in range(standing.first_shard, standing.first_shard + standing.shards):
        origin = ShardOrigin(page=page, token=standing.token)
        workspace.put_new(key.shard(shard, "origin"), encode(origin))
    return standing


def _plan_page(
    held: HeldRepository,
    workspace: Workspace,
    key: RunKey,
    spec: SourceSpec,
    page: int,
    first_shard: int,
    on_entries: OnEntries,
) -> Page:
    opening = load(workspace, OPENING, Opening)
    if opening is None:
        raise RunStateError("the run was not opened, or its workspace is gone")
    before = _page_before(workspace, key, page)
    root = parent_tree(opening)
    open_directories = () if before is None else before.open_directories
    token = secrets.token_hex(8)
    sizes = held.sizes.backup
    parts = _PartWriter(workspace, key, page, token, sizes.part_records)
    walker = Walker(
        spec, cursor=None if before is None else before.cursor, skip=own_directory(held.repository.storage)
    )
    parent = ParentView.resumed(held, root, open_directories)
    planner = Planner(
        held.index,
        parent,
        spec,
        walker.node,
        parts.write,
        sizes=sizes,
        distrusts_parent=key.generation > 0,
    )
    shards = _ShardWriter(workspace, key, page, token, first_shard, sizes)
    cursor = _walk(walker, planner, shards, page, on_entries, sizes)
    planner.finish()
    for plan in cut_shards(planner.to_read, sizes):
        shards.write(plan)
    return decide(
        workspace,
        key.page(page),
        Page(
            token=token,
            cursor=cursor or b"",
            last=cursor is None,
            parts=parts.count,
            first_shard=first_shard,
            shards=shards.count,
            totals=planner.totals(),
            open_directories=planner.open_directories(),
        ),
    )


def _plan_command(workspace: Workspace, key: RunKey, spec: SourceSpec, page: int, first_shard: int) -> Page:
    """The only page of a source that is a command's output: one file, whose size nobody knows yet."""
    token = secrets.token_hex(8)
    parts = _PartWriter(workspace, key, page, token, part_records=1)
    parts.write([Read(spec.command_file)])
    file = FileToRead(directory=0, name=spec.command_file, size=0, inode=0)
    plan = ShardPlan(directories=(b"/",), files=(file,), bytes_to_read=0)
    workspace.put(key.plan_shard(page, token, first_shard), encode(plan))
    return decide(
        workspace,
        key.page(page),
        Page(
            token=token,
            cursor=b"",
            last=True,
            parts=parts.count,
            first_shard=first_shard,
            shards=1,
            totals=Totals(files_new=1, files_to_read=1),
        ),
    )


def _walk(
    walker: Walker,
    planner: Planner,
    shards: "_ShardWriter",
    page: int,
    on_entries: OnEntries,
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
            on_entries(seen)
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


def _page_before(workspace: Workspace, key: RunKey, page: int) -> Page | None:
    if page == 0:
        return None
    before = load(workspace, key.page(page - 1), Page)
    if before is None:
        raise RunStateError(f"page {page - 1} of the run's plan is gone")
    return before


class _PartWriter:
    """Writes plan records as numbered parts."""

    def __init__(self, workspace: Workspace, key: RunKey, page: int, token: str, part_records: int) -> None:
        self._workspace = workspace
        self._key = key
        self._page = page
        self._token = token
        self._part_records = part_records
        self.count = 0

    def write(self, records: list[PlanRecord]) -> None:
        for start in range(0, len(records), self._part_records):
            name = self._key.plan_part(self._page, self._token, self.count)
            self._workspace.put(name, encode(records[start : start + self._part_records]))
            self.count += 1


class _ShardWriter:
    """Writes the plans of shards, those of very small files while the walk goes on: a page may have 20 MiB of names."""

    def __init__(
        self, workspace: Workspace, key: RunKey, page: int, token: str, first: int, sizes: BackupSizes
    ) -> None:
        self._workspace = workspace
        self._key = key
        self._page = page
        self._token = token
        self._first = first
        self._sizes = sizes
        self._bytes = 0
        self.count = 0

    def write(self, plan: ShardPlan) -> None:
        name = self._key.plan_shard(self._page, self._token, self._first + self.count)
        self._workspace.put(name, encode(plan))
        self._bytes += plan.bytes_to_read
        self.count += 1

    def write_full(self, planner: Planner) -> None:
        """Write the shards that will not become larger."""
        while plan := take_full_shard(planner.to_read, planner.bytes_to_read - self._bytes, self._sizes):
            self.write(plan)
