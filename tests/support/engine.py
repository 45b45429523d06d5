"""Drives a backup through the engine calls in the order in which the workflow makes them, without Temporal."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from holdfast.backup.commit.commit import CommitOutcome, commit_run
from holdfast.backup.documents import CommitResult, Page, ShardResult
from holdfast.backup.opening import BackupOrder, OpenedBackup, open_backup
from holdfast.backup.plan.select import select_page
from holdfast.backup.run import BackupRun
from holdfast.backup.store.claims import ClaimTable
from holdfast.backup.store.shard import store_shard
from holdfast.crypto.kdf import ScryptParameters
from holdfast.repository.repository import Repository
from holdfast.repository.session import RepositorySession
from holdfast.runs.opening import close_run
from holdfast.runs.progress import Progress
from holdfast.sizes import BackupSizes, RestoreSizes, Sizes, VerifySizes
from holdfast.source.spec import SourceSpec
from holdfast.storage.contract import Storage
from holdfast.storage.credentials import fixed
from holdfast.storage.locations import open_storage
from holdfast.terms import Strategy
from tests.support.counting import CountingStorage

KIB = 1 << 10
MIB = 1 << 20
PASSWORD = b"correct horse"
SMALL = Sizes(
    backup=BackupSizes(
        first_page_entries=4,
        page_entries=16,
        part_records=3,
        records_at_hand=10,
        segment_bytes=MIB,
        shard_bytes=64 * KIB,
        most_shard_bytes=512 * KIB,
        shard_files=5,
        small_file_bytes=64 * KIB,
        batch_files=3,
        batch_bytes=32 * KIB,
        checkpoint_bytes=256 * KIB,
    ),
    restore=RestoreSizes(
        first_page_entries=5,
        page_entries=7,
        shard_bytes=MIB,
        shard_files=4,
        segment_blobs=100,
        part_records=3,
        group_bytes=64 * KIB,
        flush_files=2,
        flush_bytes=64 * KIB,
        batch_files=3,
        batch_bytes=128 * KIB,
    ),
    verify=VerifySizes(shard_work=128 * KIB, most_shard_work=512 * KIB),
)
"""So small that a tree of a few MiB has several pages, shards, segments, batches and checkpoints."""
SMALL_PACK_BYTES = 128 * KIB
"""Not restic's to write, but its to read."""


def nothing(*_: object) -> None:
    """A progress callback that does nothing."""


def make_repository(
    location: str | Path, password: bytes = PASSWORD, *, environ: Mapping[str, str] | None = None
) -> None:
    """A new repository for commands. environ: credentials of its place.

    The key that `holdfast init` makes costs half a second of computing whenever it is opened, by stock restic too.
    """
    with closing(open_storage(str(location), fixed(environ or {}))) as storage:
        Repository.init(storage, password, kdf=ScryptParameters.for_tests())


@contextmanager
def new_session(path: Path, *, version: int = 2, small: bool = False) -> Iterator[RepositorySession]:
    """A session of a new repository at `path`, whose password is PASSWORD. small: with SMALL sizes."""
    storage = open_storage(str(path))
    repository = Repository.init(storage, PASSWORD, version=version, kdf=ScryptParameters.for_tests())
    with _closing(repository, small=small) as session:
        yield session


@contextmanager
def open_session(
    path: Path, password: bytes = PASSWORD, *, small: bool = False
) -> Iterator[RepositorySession]:
    """A session of an existing repository, as another process would open it."""
    with _closing(Repository.open(open_storage(str(path)), password), small=small) as session:
        yield session


@contextmanager
def _closing(repository: Repository, *, small: bool) -> Iterator[RepositorySession]:
    session = _small(repository) if small else RepositorySession(repository)
    try:
        yield session
    finally:
        session.close()


def small_session(storage: Storage) -> RepositorySession:
    """A session with SMALL sizes on a storage of the test's own; the caller closes it."""
    return _small(Repository.open(storage, PASSWORD))


def _small(repository: Repository) -> RepositorySession:
    return RepositorySession(repository, sizes=SMALL, pack_size_bytes=SMALL_PACK_BYTES)


@contextmanager
def counted_session(
    path: Path, *, small: bool = False
) -> Iterator[tuple[RepositorySession, CountingStorage]]:
    """The same, with the storage that counts its calls."""
    storage = CountingStorage(path)
    with _closing(Repository.open(storage, PASSWORD), small=small) as session:
        yield session, storage


@dataclass(slots=True)
class EngineRun:
    """One run of a backup. Steps may be repeated or done out of order, to see what happens then."""

    backup: BackupRun
    order: BackupOrder
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
        order = BackupOrder(
            spec=spec, host="testhost", strategy=Strategy(strategy), started_ns=time.time_ns()
        )
        return cls(BackupRun(session=session, run_id=run_id), order)

    @property
    def session(self) -> RepositorySession:
        return self.backup.session

    def open(self) -> OpenedBackup:
        return open_backup(self.backup, self.order)

    def select(self) -> list[Page]:
        """All pages."""
        pages: list[Page] = []
        while not pages or not pages[-1].last:
            pages.append(select_page(self.backup, self.order.spec, len(pages), nothing))
        return pages

    def store(self, shard: int, progress: Progress = nothing) -> ShardResult:
        return asyncio.run(store_shard(self.backup, self.order.spec, shard, progress, claims=self.claims))

    def commit(self, pages: list[Page]) -> CommitOutcome:
        shards = sum(page.shards for page in pages)
        return commit_run(self.backup, self.order, len(pages), shards)

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
            close_run(self.backup.workspace)
        return outcome.result
