"""Drives a backup through the engine calls in the order in which the workflow makes them, without Temporal."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from holdfast.backup.claims import ClaimTable
from holdfast.backup.closing import close_run
from holdfast.backup.commit import CommitOutcome, commit_run
from holdfast.backup.documents import CommitResult, Page, RunKey, ShardResult
from holdfast.backup.opening import BackupOrder, RunOpening, open_run
from holdfast.backup.select import select_page
from holdfast.backup.store import store_shard
from holdfast.crypto.kdf import ScryptParameters
from holdfast.repository.repository import Repository
from holdfast.repository.session import RepositorySession
from holdfast.source.spec import SourceSpec
from holdfast.storage.locations import open_storage
from tests.support.counting import CountingStorage

PASSWORD = b"correct horse"


def nothing(*_: object) -> None:
    """A progress callback that does nothing."""


@contextmanager
def new_session(path: Path, *, version: int = 2) -> Iterator[RepositorySession]:
    """A session of a new repository at `path`, whose password is PASSWORD."""
    repository = Repository.init(
        open_storage(str(path)), PASSWORD, version=version, kdf=ScryptParameters.for_tests()
    )
    session = RepositorySession(repository)
    try:
        yield session
    finally:
        session.close()


@contextmanager
def open_session(path: Path, password: bytes = PASSWORD) -> Iterator[RepositorySession]:
    """A session of an existing repository, as another process would open it."""
    session = RepositorySession(Repository.open(open_storage(str(path)), password))
    try:
        yield session
    finally:
        session.close()


@contextmanager
def counted_session(path: Path) -> Iterator[tuple[RepositorySession, CountingStorage]]:
    """The same, with the storage that counts its calls."""
    storage = CountingStorage(path)
    session = RepositorySession(Repository.open(storage, PASSWORD))
    try:
        yield session, storage
    finally:
        session.close()


@dataclass(slots=True)
class EngineRun:
    """One run of a backup. Steps may be repeated or done out of order, to see what happens then."""

    session: RepositorySession
    order: BackupOrder
    key: RunKey
    claims: ClaimTable | None = None

    @classmethod
    def of(
        cls,
        session: RepositorySession,
        *roots: Path,
        run_id: str = "run",
        strategy: str = "auto",
        **more: object,
    ) -> "EngineRun":
        spec = SourceSpec(roots=tuple(bytes(root) for root in roots), **more)  # type: ignore[arg-type]  # test data
        order = BackupOrder(spec=spec, host="testhost", strategy=strategy, started_ns=time.time_ns())
        return cls(session, order, RunKey(run_id=run_id))

    def open(self) -> RunOpening:
        return open_run(self.session, self.key, self.order)

    def select(self) -> list[Page]:
        """All pages."""
        pages: list[Page] = []
        while not pages or not pages[-1].last:
            first = sum(page.shards for page in pages)
            pages.append(select_page(self.session, self.key, self.order.spec, len(pages), first, nothing))
        return pages

    def store(self, shard: int, on_progress: Callable[[int, int], None] = nothing) -> ShardResult:
        spec = self.order.spec
        return asyncio.run(store_shard(self.session, self.key, spec, shard, on_progress, claims=self.claims))

    def commit(self, pages: list[Page]) -> CommitOutcome:
        shards = sum(page.shards for page in pages)
        return commit_run(self.session, self.key, self.order, len(pages), shards)

    def run(self, *, close: bool = True) -> CommitResult:
        """The whole run."""
        self.open()
        pages = self.select()
        for shard in range(sum(page.shards for page in pages)):
            self.store(shard)
        outcome = self.commit(pages)
        if outcome.result is None:
            raise AssertionError(f"the commit asks for work to be redone: {outcome}")
        if close:
            close_run(self.session, self.key, keep=False)
        return outcome.result
