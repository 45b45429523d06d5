"""A session is an open repository in one process: its key, its lock lease, and the index that all its users share.

Nobody who keeps to the rules removes anything while our lock is there. A client may remove the lock itself
(`restic unlock --remove-all`, or because this process was frozen for too long), prune, and leave again. What is written
in spite of that must not be believed, so what others will believe is written like this:

    1. an index file: the lock file was there a moment ago; it is stored; then the lock file is looked at. As long as
       that is there, so are packs whose storing was answered under it. If it has gone, and packs or the repository with
       it, the index file is removed again: it would speak of what is not there. So it is when a prune has condemned
       these packs since: one that is deleting them may not look at the index again;
    2. a snapshot: the lock file was there a moment ago; then it is looked whether all index files still stand that were
       read, and for each pack that it needs (backup/commit/commit.py); it is stored; then the lock file is looked at.
       The same lock file proves that nothing came in between.

The index may be believed only as long as the lock has been held without a break since it was loaded: another client's
prune may run in between. So whenever the lease had to take the lock again, the session looks whether all index files
that it has read still stand (a client that removes packs replaces the index files that name them first), and loads
everything again if not. Only trees stay that were read before, as far as the new index has them: their ids vouch for
them.

A use of the repository that begins finds in the index all that index files said at that moment, those of other
processes too. What has come since, `reach` adds: a snapshot may need it that was only found then. Marks of damage are
looked at at the same time: when they have changed, the index is loaded again for those who come from then on.

To look costs two listings. Processes of one host that share an index hear from its log what the others have written, so
under the same lock they look only when there is news, and every ten seconds for what other hosts have written
(docs/adr/0056-few-requests.md). Nothing wrong comes of what is not known yet: what is missing then is looked for again
before anybody is told, by `confirm` or `refresh`.
"""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from holdfast.errors import HoldfastError, IntegrityError, LockLostError
from holdfast.format.index import BlobType, IndexPack, PackColumns
from holdfast.format.pack import DEFAULT_PACK_SIZE_BYTES, Compression
from holdfast.ids import BlobId, IndexId, PackId
from holdfast.repository.caching import past_cache
from holdfast.repository.condemned import are_condemned
from holdfast.repository.index.files import IndexLoader, write_index
from holdfast.repository.index.shared import SharedIndex
from holdfast.repository.layout import INDEX, file_name
from holdfast.repository.lock_files import remove_dead_locks, remove_lock
from holdfast.repository.lock_notes import LockNotes
from holdfast.repository.locking import Lease, LockLease, NoLease
from holdfast.repository.packs.loader import BlobLoader
from holdfast.repository.packs.stored import sizes_of
from holdfast.repository.repository import Repository
from holdfast.sizes import Sizes

_LOG: Final = logging.getLogger(__name__)


class HeldRepository:
    """The repository under its lock, with an index that is true under it."""

    def __init__(
        self, session: "RepositorySession", files: IndexLoader, loader: BlobLoader, generation: int
    ) -> None:
        self._session = session
        self._files = files
        self.index = files.index
        self.whole_trees = files.whole_trees
        self.loader = loader
        self.generation = generation
        self.looked = True
        """Whether its last user began with a look, and not with what this host knows."""

    @property
    def repository(self) -> Repository:
        return self._session.repository

    @property
    def compression(self) -> Compression:
        return self._session.compression

    @property
    def pack_size_bytes(self) -> int:
        return self._session.pack_size_bytes

    @property
    def sizes(self) -> Sizes:
        return self._session.sizes

    @property
    def unreadable_index(self) -> list[IndexId]:
        """Index files that could not be read: what only they name counts as not there (docs/adr/0049)."""
        return sorted(self._files.unreadable)

    @property
    def files(self) -> IndexLoader:
        """Which index files are in the index."""
        return self._files

    def catch_up(self) -> bool:
        """`refresh`, if the marks of damage are those that the index was loaded with; whether they are."""
        self.looked = True
        return self._files.catch_up(same_lock=True)

    def is_current(self) -> bool:
        """Whether a look can be done without, because this host's processes have told each other of everything."""
        if not self._files.is_current():
            return False
        self.looked = False
        return True

    def check_lock(self) -> None:
        """Raises LockLostError when the lock could not be refreshed in time. Asks nobody."""
        self._session.lease.check(self.generation)

    def confirm_lock(self, *, recently: bool = False) -> None:
        """The same, and look whether the lock file is there; before and after what others will believe.

        recently: before it, that the file was there a moment ago will do.
        """
        self._session.lease.confirm(self.generation, recently=recently)

    def clock_skew_s(self) -> float:
        """By how much this host's clock is ahead of the storage's, in seconds. Raises LockLostError."""
        return self._session.lease.skew_s()

    def confirm_index(self) -> None:
        """Look whether all index files that were read are there: those that name removed packs are replaced.

        Raises:
            LockLostError: they are not; the lock is given up, and the next user reads the index again.
        """
        if not self._files.still_stands():
            raise self.broken("index files that we have read were removed")

    def confirm(self) -> None:
        """Both, before something is called damaged. Raises LockLostError; also where the use began without a look, and
        there are index files that were not read: then they are read, and what was missing is looked for once more."""
        self.confirm_lock()
        stands, is_whole = self._files.standing()
        if not stands:
            raise self.broken("index files that we have read were removed")
        if not (is_whole or self.looked):
            raise self.broken("index files were written that we have not read")

    def stored_sizes(self, packs: Collection[PackId], *, own: bool = False) -> Mapping[PackId, int | None]:
        """How large the files of packs are, in bytes; None for one that is not there. own: of one run, so they are few
        beside those of the repository."""
        return sizes_of(self.repository.storage, packs, stored=self.index.pack_count, few=own)

    def missing_packs(self, packs: Collection[PackId], *, own: bool = False) -> list[PackId]:
        """Those whose files are not there. own: as in `stored_sizes`."""
        return [pack for pack, size in self.stored_sizes(packs, own=own).items() if size is None]

    def loader_of_store(self) -> BlobLoader:
        """A loader that finds out what the store has: past this host's cache, and what this process has read before."""
        return BlobLoader(past_cache(self.repository), self.index)

    def refresh(self) -> bool:
        """Add to the index what other processes have written since `hold`; whether there was anything."""
        self.looked = True
        return self._files.refresh()

    def reach(self, tree: BlobId) -> None:
        """Have in the index what the tree of a snapshot needs that was only found since `hold`. The root is stored and
        indexed last, so with it all is there."""
        if not self.index.has(tree, BlobType.TREE):
            self.refresh()

    def note_marks(self) -> None:
        """Marks of damage were changed: the next use of the repository on this host loads the index with them."""
        self.index.tell()

    def write_index(self, packs: Sequence[IndexPack]) -> None:
        """Store index files for packs that were stored, or seen, under this lock; tell this process's index about them.

        Raises:
            LockLostError: the lock could not be kept. Then no index file of this call stands that names a pack which
                is not there or is about to be deleted, nor in another repository that was made in its place.
        """
        if not packs:
            self.check_lock()
            return
        self.confirm_lock(recently=True)
        columns = [pack.columns for pack in packs]
        written = write_index(self.repository, columns)
        try:
            self.confirm_lock()
        except LockLostError:
            ids = [pack.id for pack in packs]
            if (
                self.missing_packs(ids, own=True)
                or not self.repository.is_there()
                or are_condemned(self.repository, ids)
            ):
                for index_id in written:
                    self.repository.storage.delete(file_name(INDEX, index_id))
            raise
        self._session.note_written(written, columns, self._files)

    def give_up(self) -> None:
        """Give up the lock, because we have replaced index files ourselves: all users here begin a new generation."""
        self._session.lease.give_up(self.generation)

    def broken(self, what: str) -> LockLostError:
        """The error about what was removed while our lock was there, which is given up."""
        self._session.lease.give_up(self.generation)
        return LockLostError(
            f"{self.repository.storage.location}: {what} while we used them",
            hint="A client prunes without regard to locks, or we have none. The work goes on from its last checkpoint.",
        )


class RepositorySession:
    """An open repository for all activities of one process. Thread-safe."""

    def __init__(
        self,
        repository: Repository,
        *,
        compression: Compression = Compression.AUTO,
        pack_size_bytes: int = DEFAULT_PACK_SIZE_BYTES,
        shared_index: SharedIndex | None = None,
        sizes: Sizes | None = None,
        locked: bool = True,
        one_host: bool = False,
        lock_notes: LockNotes | None = None,
    ) -> None:
        """shared_index: where the processes of a host keep the indexes of repositories; else this one has its own.

        one_host: all who work on the same runs share that. lock_notes: where this host notes its locks.

        locked: False where nothing is written, and a lock cannot be had or is not wanted (repository/companion.py).
        """
        self.repository = repository
        self.compression = compression
        self.pack_size_bytes = pack_size_bytes
        self.sizes = sizes or Sizes()
        self.locked = locked
        self.lease: Lease = LockLease(repository, notes=lock_notes) if locked else NoLease()
        self._lock_notes = lock_notes
        self._shared_index = shared_index
        self._is_told = one_host and locked
        self._lock = threading.Lock()
        self._index_loader: IndexLoader | None = None
        self._held: HeldRepository | None = None

    @contextmanager
    def hold(self) -> Iterator[HeldRepository]:
        """Hold the shared lock and the index that goes with it, in which is all that was written before this call.

        Raises:
            RepositoryLockedError: another client has the exclusive lock.
            LockLostError: at the end, in place of an IntegrityError that a prune under us explains.
        """
        held = self._acquire()
        try:
            yield held
        except IntegrityError:
            held.confirm()  # what is not there may have been removed under us: then it is no damage
            raise
        finally:
            self.lease.release(held.generation)

    @asynccontextmanager
    async def holding(self) -> AsyncIterator[HeldRepository]:
        """`hold` for coroutines: what blocks is done in a thread.

        A coroutine that is cancelled while it waits leaves the thread behind; what that acquires is given back.
        """
        acquiring = asyncio.ensure_future(asyncio.to_thread(self._acquire))
        try:
            held = await asyncio.shield(acquiring)
        except asyncio.CancelledError:
            acquiring.add_done_callback(self._give_back)
            raise
        try:
            yield held
        except IntegrityError:
            await asyncio.to_thread(held.confirm)
            raise
        finally:
            self.lease.release(held.generation)

    def note_written(
        self, written: Sequence[IndexId], packs: Sequence[PackColumns], files: IndexLoader
    ) -> None:
        """See `HeldRepository.write_index`. files: what its index was loaded by."""
        with self._lock:
            loaders = {files} if self._index_loader is None else {files, self._index_loader}
            for loader in loaders:
                loader.add_written(written, packs)

    def rest(self) -> bool:
        """Let go of the index and of the trees that were read, unless the lock is held; whether that was so.

        The next user loads again what is needed.
        """
        with self._lock:
            if not self.lease.is_held:
                self._held = self._index_loader = None
            return self._held is None

    def remove_dead_locks(self) -> None:
        """Remove the locks of our own processes that were killed: when a run ends. Nothing depends on it."""
        if not self.locked:
            return
        try:
            if self._lock_notes is None:
                remove_dead_locks(self.repository)
                return
            for lock_id in self._lock_notes.of_dead():
                if remove_lock(self.repository, lock_id):
                    self._lock_notes.drop(lock_id)
        except HoldfastError as error:
            _LOG.warning("locks of processes that have ended could not be removed: %s", error.message)

    def close(self) -> None:
        """Give up the lock now instead of after its linger, and the connections of the storages."""
        self.lease.close()
        for storage in self.repository.storages:
            storage.close()

    def _give_back(self, acquired: "asyncio.Future[HeldRepository]") -> None:
        if not acquired.cancelled() and acquired.exception() is None:
            self.lease.release(acquired.result().generation)

    def _acquire(self) -> HeldRepository:
        generation = self.lease.acquire()
        try:
            with self._lock:
                held = self._held
            if held is not None and held.generation == generation and self._is_known_to(held):
                return held
            with self._lock:
                if self._held is held or self._held is None or self._held.generation != generation:
                    self._held = self._load(generation)
                return self._held  # or what another thread has loaded since we asked
        except BaseException:
            self.lease.release(generation)
            raise

    def _is_known_to(self, held: HeldRepository) -> bool:
        """Whether the index has all that is there, or what has come could be added to it."""
        return (self._is_told and held.is_current()) or held.catch_up()

    def _load(self, generation: int) -> HeldRepository:
        loader, held = self._index_loader, self._held
        if loader is None or held is None or not loader.catch_up(same_lock=False):
            loader = self._index_loader = IndexLoader.loaded(self.repository, self._shared_index)
            blobs = BlobLoader(self.repository, loader.index)
            if held is not None:
                blobs.keep_trees(held.loader.known_trees())
        else:
            blobs = held.loader
        return HeldRepository(self, loader, blobs, generation)
