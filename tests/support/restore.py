"""Drives a restore through the engine calls in the order in which the workflow makes them, without Temporal."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from holdfast.file_list import FileRecord, decode_lines
from holdfast.repository.session import RepositorySession
from holdfast.restore.documents import Page
from holdfast.restore.finish.finish import finish
from holdfast.restore.opening import open_restore
from holdfast.restore.plan.select import select_page
from holdfast.restore.plan.space import check_space
from holdfast.restore.report import file_chunks
from holdfast.restore.request import RestoreOptions
from holdfast.restore.run import Finished, RestoreRun, VerifyReport
from holdfast.restore.shard.shard import restore_shard
from holdfast.restore.verify import verify_restored
from holdfast.runs.opening import close_run
from holdfast.terms import RestoreTotals
from tests.support.engine import nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restore came to. records: what became of each path. verified: None after a dry run."""

    finished: Finished
    counts: RestoreTotals
    records: tuple[FileRecord, ...]
    verified: VerifyReport | None

    @property
    def failures(self) -> dict[bytes, str]:
        return {record.path: record.message for record in self.records if record.action.value == "failed"}


@dataclass(slots=True)
class EngineRestore:
    """One run of a restore. Steps may be repeated or done out of order, to see what happens then."""

    session: RepositorySession
    options: RestoreOptions
    run_id: str = "restore"

    @contextmanager
    def held(self) -> Iterator[RestoreRun]:
        with self.session.hold() as held:
            yield RestoreRun(held=held, run_id=self.run_id, options=self.options)

    def plan(self) -> list[Page]:
        """Open the run; all pages."""
        with self.held() as run:
            open_restore(run)
            pages: list[Page] = []
            while not pages or not pages[-1].last:
                pages.append(select_page(run, len(pages)))
            check_space(run, sum(page.counts.bytes_to_write for page in pages))
            return pages

    def shard(self, number: int) -> RestoreTotals:
        with self.held() as run:
            return asyncio.run(restore_shard(run, number, nothing)).counts

    def complete(self, pages: int, shards: int) -> Finished:
        with self.held() as run:
            return finish(run, pages, shards, nothing)

    def run(self) -> Restored:
        """The whole run."""
        pages = self.plan()
        counts = RestoreTotals()
        for page in pages:
            counts = counts.plus(page.counts)
        shards = sum(page.shards for page in pages)
        if not self.options.dry_run:
            for number in range(shards):
                counts = counts.plus(self.shard(number))
        finished = self.complete(len(pages), shards)
        verified = None
        with self.held() as run:
            if not self.options.dry_run:
                verified = asyncio.run(verify_restored(run, len(pages), nothing))
            records = records_of(run, len(pages), shards)
            close_run(run.workspace)
        return Restored(
            finished=finished, counts=counts.plus(finished.counts), records=records, verified=verified
        )


def records_of(run: RestoreRun, pages: int, shards: int) -> tuple[FileRecord, ...]:
    """What became of each path."""
    chunks = file_chunks(run, pages, shards)
    return tuple(record for chunk in chunks for record in decode_lines(chunk.lines))


def restore(session: RepositorySession, target: Path, **options: object) -> Restored:
    """Restore into `target` and read everything back."""
    asked = RestoreOptions(target=bytes(target), **options)  # type: ignore[arg-type]  # test data
    return EngineRestore(session, asked).run()


def restore_in_place(session: RepositorySession, snapshot: str, **options: object) -> Restored:
    """Restore to where the files came from, and read everything back."""
    asked = RestoreOptions(snapshot=snapshot, **options)  # type: ignore[arg-type]  # test data
    return EngineRestore(session, asked).run()
