"""A dry run says what a backup would do: it does the same steps, over a storage that keeps nothing.

So what it says is what would be, down to the last byte: the walk, the comparison with the parent, reading what has
changed, cutting, looking up, compressing, trees and the last look are the engine's own. Nothing is written to the
repository, not even a lock; another client's exclusive one stops it, because what it reads may be about to go.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from holdfast.backup.commit.commit import commit_run
from holdfast.backup.documents import CommitResult, Opening
from holdfast.backup.opening import BackupOrder, open_backup
from holdfast.backup.plan.select import select_page
from holdfast.backup.report import file_records
from holdfast.backup.run import BackupRun
from holdfast.backup.store.shard import store_shard
from holdfast.errors import RunStateError
from holdfast.file_list import FileRecord
from holdfast.repository.repository import Repository
from holdfast.repository.session import RepositorySession
from holdfast.storage.contract import Storage
from holdfast.storage.layers.dry import Dry, Kept
from holdfast.terms import SelectionTotals, StoredTotals

_MOST_COMMITS: Final = 5
_RUN: Final = "dry run"

Progress = Callable[[SelectionTotals, StoredTotals, int], None]
"""Told what is selected and stored so far, and the bytes that the shard under way has read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DryResult:
    """What a backup would do. result: of the commit; its snapshot is written nowhere."""

    opening: Opening
    selected: SelectionTotals
    stored: StoredTotals
    result: CommitResult


class DryRun:
    """One dry run of a backup; its session is of `dry_repository`."""

    def __init__(self, session: RepositorySession, order: BackupOrder, progress: Progress) -> None:
        self._order = order
        self._run = BackupRun(session=session, run_id=_RUN)
        self._progress = progress
        self._pages = self._shards = 0
        self._selected, self._stored = SelectionTotals(), StoredTotals()

    def run(self) -> DryResult:
        """Do it.

        Raises:
            As the steps of a backup; nothing is tried again.
        """
        opening = open_backup(self._run, self._order, is_new=True).opening
        self._select_and_store()
        for _ in range(_MOST_COMMITS):
            outcome = commit_run(self._run, self._order, self._pages, self._shards)
            if outcome.result is not None:
                return DryResult(
                    opening=opening, selected=self._selected, stored=self._stored, result=outcome.result
                )
            if outcome.rescan:
                self._run = self._run.of_generation(self._run.generation + 1)
                self._select_and_store()
            for shard in outcome.missing_shards:
                self._store(shard)
        raise RunStateError("blobs were missing after each look: something removes data while this runs")

    def files(self) -> Iterator[FileRecord]:
        """What would become of each file. Ask before the session is closed."""
        return file_records(self._run, self._pages, self._shards)

    def _select_and_store(self) -> None:
        self._pages = self._shards = 0
        self._selected = SelectionTotals()
        is_last = False
        while not is_last:
            page = select_page(self._run, self._order.spec, self._pages, self._looked)
            is_last = page.last
            self._pages += 1
            self._selected = self._selected.plus(page.totals)
            for shard in range(self._shards, self._shards + page.shards):
                self._store(shard)
            self._shards += page.shards

    def _store(self, shard: int) -> None:
        stored = asyncio.run(store_shard(self._run, self._order.spec, shard, self._read))
        self._stored = self._stored.plus(stored.totals)

    def _looked(self, _entries: int, _bytes: int) -> None:
        self._progress(self._selected, self._stored, 0)

    def _read(self, _files: int, count: int) -> None:
        self._progress(self._selected, self._stored, count)


def dry_repository(repository: Repository) -> Repository:
    """The repository as a dry run has it: all that is written to it stays in memory."""
    kept = Kept()
    layers: dict[int, Dry] = {}

    def over(storage: Storage) -> Dry:
        return layers.setdefault(id(storage), Dry(storage, kept))

    dry = Repository(over(repository.storage), repository.config, repository.key, repository.key_id)
    dry.companion, dry.workspaces = over(repository.companion), over(repository.workspaces)
    dry.tree_packs, dry.bare = over(repository.tree_packs), over(repository.bare)
    dry.is_private, dry.cache_dir = repository.is_private, repository.cache_dir
    return dry
