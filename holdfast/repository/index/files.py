"""Index files are read into a map, which is kept up to date, and new ones are written.

Read order: files of one listing. A file that vanishes between listing and reading was replaced by a
`repair index` or `prune`; then the listing is read again, because its successor is in the newer one.

A file that cannot be read does not keep the others from being used: it is noted, tried again at each refresh, and what
relies on the whole index asks `check_whole` (docs/adr/0049-the-index-has-a-room.md says what that is).
"""

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from holdfast import heap
from holdfast.errors import CorruptFileError, StorageUnavailableError, StoredFileMissingError
from holdfast.format.index import PackColumns, decode_index, encode_index
from holdfast.ids import IndexId
from holdfast.repository.damage import DamageMarks
from holdfast.repository.index.map import IndexMap
from holdfast.repository.index.shared import SharedIndex
from holdfast.repository.layout import INDEX, file_name, list_ids
from holdfast.repository.repository import Repository
from holdfast.repository.whole_trees import WholeTrees
from holdfast.storage.parallel import ask_both

MAX_BLOBS_PER_FILE: Final = 50_000
"""restic's number (internal/repository/index/index.go, `indexMaxBlobs`)."""
INDEX_LIMIT_BYTES: Final = 512 * 1024 * 1024
_READ_AHEAD_BYTES: Final = 4 * 1024 * 1024
"""As stored. Two of the largest files that restic writes, or as many small ones as there are readers: what each thread
has held of a large file stays behind in its part of the heap."""
_MANY_BLOBS: Final = 250_000
"""What was read of so many has left enough free memory behind to be worth giving back."""
_LISTINGS: Final = 3
LOOK_AGAIN_S: Final = 10.0
"""So old may be what is known of the index, as far as other hosts are concerned."""
_HINT: Final = (
    "`holdfast verify` says what is lost; `holdfast repair index` writes the index again from the packs."
)


class IndexLoader:
    """A map, and which index files and which marks of damage are in it. Thread-safe."""

    def __init__(self, repository: Repository, shared: SharedIndex | None = None) -> None:
        """shared: where the processes of a host keep what they have read."""
        self._repository = repository
        self._marks = DamageMarks(repository)
        log = None if shared is None else shared.join(bytes.fromhex(repository.id))
        self._heard = None if log is None else log.news()
        self._looked_at = time.monotonic()
        self._listed: list[tuple[IndexId, int]] | None
        self._marks_seen, self._listed = self._look()
        self.index = IndexMap(self._marks.load() if self._marks_seen else {}, log)
        self.whole_trees = WholeTrees()
        self._loaded: set[IndexId] = set()
        self.unreadable: dict[IndexId, CorruptFileError] = {}
        self._lock = threading.Lock()

    @classmethod
    def loaded(cls, repository: Repository, shared: SharedIndex | None = None) -> "IndexLoader":
        """A map of all that is there now. Where the shared log is mostly of files that are gone, another is begun.

        Raises:
            StorageUnavailableError: as `refresh`.
        """
        loader = cls(repository, shared)
        loader.refresh()
        if loader.index.close_waste():
            loader = cls(repository, shared)
            loader.refresh()
        return loader

    def refresh(self) -> bool:
        """Read the index files that were not read yet; whether there were any. Those that cannot be read are
        `unreadable` from then on.

        Raises:
            StorageUnavailableError: files vanish faster than they can be listed and read.
        """
        with self._lock:
            listed, self._listed = self._listed, None  # the first time, of the look when this was made
            before = len(self._loaded)
            self._read_listed(self._list() if listed is None else listed)
            return len(self._loaded) > before

    def is_current(self) -> bool:
        """Whether a look would show nothing new, as far as the processes of this host know, and not for too long.

        Only under the same lock. What others of the host have written and put into the shared log since is taken from
        there: it was stored while we had the lock, so nobody has removed it. Of a file that another has only read that
        is not known: it may have been listed before our lock, or before packs were marked, and be gone.
        """
        with self._lock:
            heard, looked_at = self._heard, self._looked_at
            if heard is None or self.unreadable or time.monotonic() - looked_at > LOOK_AGAIN_S:
                return False
            said = self.index.said_since(heard)
            if said is None:
                return False
            self._loaded |= {
                index_id
                for index_id in said
                if index_id not in self._loaded and self.index.recall(index_id, written=True)
            }
            return self._loaded.issuperset(said)

    def catch_up(self, *, same_lock: bool) -> bool:
        """`refresh`, if what was read may still be believed; whether that is so: the marks of damage are the same, and,
        unless we have had the same lock since, all index files are still there.

        Raises:
            StorageUnavailableError: as `refresh`.
        """
        heard, looked_at = self.index.news(), time.monotonic()
        seen, listed = self._look()
        with self._lock:
            stands = same_lock or self._loaded <= {index_id for index_id, _ in listed}
            if not stands or seen != self._marks_seen:
                return False
            self._read_listed(listed)
            self._heard, self._looked_at = heard, looked_at
            return True

    def check_whole(self) -> None:
        """Raises CorruptFileError when an index file could not be read; the message names it."""
        for error in self.unreadable.values():
            raise error

    @property
    def files(self) -> frozenset[IndexId]:
        """The index files that were read."""
        with self._lock:
            return frozenset(self._loaded)

    def still_stands(self) -> bool:
        """Whether every index file that was read is still there, so that no pack it names has been removed."""
        return self.standing()[0]

    def standing(self) -> tuple[bool, bool]:
        """The same, and whether every file that is there was read, or could not be."""
        with self._lock:
            there = {index_id for index_id, _ in self._list()}
            return self._loaded <= there, there <= self._loaded | self.unreadable.keys()

    def add_written(self, written: Sequence[IndexId], packs: Sequence[PackColumns]) -> None:
        """Add packs that this process has just written (`write_index`), without reading them back."""
        with self._lock:
            for index_id, group in zip(written, _groups(packs, MAX_BLOBS_PER_FILE), strict=True):
                self.index.load(index_id, group, written=True)
                self._loaded.add(index_id)

    def _look(self) -> tuple[frozenset[tuple[bytes, int]], list[tuple[IndexId, int]]]:
        """The marks and the index files (id, size in bytes) that are there, asked for at once."""
        return ask_both(self._repository.storage, self._marks.seen, self._list)

    def _list(self) -> list[tuple[IndexId, int]]:
        return listed_files(self._repository)

    def _read_listed(self, listed: list[tuple[IndexId, int]]) -> None:
        """Read what is new in a listing; where files have gone since, list again: their successors are there."""
        for _ in range(_LISTINGS):
            unreadable: dict[IndexId, CorruptFileError] = {}
            missing = self._read([file for file in listed if file[0] not in self._loaded], unreadable)
            self.unreadable = unreadable  # at once: those who ask in between hear of the ones before
            if not missing:
                return
            listed = self._list()
        raise StorageUnavailableError(
            f"{self._repository.storage.location}: index files vanish while they are read",
            hint="Another client prunes or repairs the repository: wait until that has ended.",
        )

    def _read(
        self, wanted: Sequence[tuple[IndexId, int]], unreadable: dict[IndexId, CorruptFileError]
    ) -> bool:
        """Read files (id, size in bytes) into the map; whether one was missing. Bad ones go to `unreadable`."""
        recalled = {index_id for index_id, _ in wanted if self.index.recall(index_id)}
        self._loaded |= recalled
        missing = False
        before = len(self.index)
        unread = [file for file in wanted if file[0] not in recalled]
        for index_id, found in read_files(self._repository, unread):
            if found is None:
                missing = True
                continue
            if isinstance(found, CorruptFileError):
                unreadable[index_id] = found
                continue
            self.index.load(index_id, found)
            self._loaded.add(index_id)
        if len(self.index) - before >= _MANY_BLOBS:
            heap.give_back()
        return missing


def listed_files(repository: Repository) -> list[tuple[IndexId, int]]:
    """The index files that are there (id, size in bytes), by their ids."""
    return [(IndexId(raw), size) for raw, size in sorted(list_ids(repository.storage, INDEX))]


def read_files(
    repository: Repository, wanted: Sequence[tuple[IndexId, int]]
) -> Iterator[tuple[IndexId, list[PackColumns] | CorruptFileError | None]]:
    """The packs of each index file (id, size in bytes) in order, read ahead in threads; None for a file that is
    missing, the error for a bad one.

    Decoding holds the interpreter, so threads would not make it faster; and what it leaves behind of small objects is
    least where it is done for one file after the other.
    """
    remaining = deque(wanted)
    ahead: deque[tuple[IndexId, int, Future[bytes | CorruptFileError | None]]] = deque()
    readers = repository.storage.traits.requests
    with ThreadPoolExecutor(readers, thread_name_prefix="index") as pool:

        def read_on() -> None:
            room = _READ_AHEAD_BYTES - sum(size for _, size, _ in ahead)
            while remaining and len(ahead) < readers and (not ahead or remaining[0][1] <= room):
                index_id, size = remaining.popleft()
                ahead.append((index_id, size, pool.submit(_json_of, repository, index_id)))
                room -= size

        try:
            read_on()
            while ahead:
                index_id, _, reading = ahead.popleft()
                json = reading.result()
                read_on()
                yield index_id, _or_error(index_id, json) if isinstance(json, bytes) else json
        finally:
            for _, _, reading in ahead:
                reading.cancel()


def read_index(repository: Repository, index_id: IndexId) -> list[PackColumns]:
    """The packs of one index file.

    Raises:
        StoredFileMissingError: there is none of that id.
        CorruptFileError: it cannot be read; the message names it.
    """
    json = _json_of(repository, index_id)
    if json is None:
        raise StoredFileMissingError(f"{file_name(INDEX, index_id)}: there is no such file")
    packs = _or_error(index_id, json) if isinstance(json, bytes) else json
    if isinstance(packs, CorruptFileError):
        raise packs
    return packs


def write_index(repository: Repository, packs: Sequence[PackColumns]) -> list[IndexId]:
    """Store index files for packs that are durable already; durable themselves on return. No packs, no file.

    A pack's entry is never split, so a file exceeds MAX_BLOBS_PER_FILE only where one pack alone does.
    """
    return [
        IndexId(repository.save_file(INDEX, encode_index(group)))
        for group in _groups(packs, MAX_BLOBS_PER_FILE)
    ]


def _groups(packs: Sequence[PackColumns], limit: int) -> Iterator[list[PackColumns]]:
    group: list[PackColumns] = []
    blobs = 0
    for pack in packs:
        if group and blobs + len(pack.lengths) > limit:
            yield group
            group, blobs = [], 0
        group.append(pack)
        blobs += len(pack.lengths)
    if group:
        yield group


def _json_of(repository: Repository, index_id: IndexId) -> bytes | CorruptFileError | None:
    """What a file says; None where there is none, the error where it cannot be read, though others can."""
    try:
        return repository.load_file(INDEX, index_id, limit_bytes=INDEX_LIMIT_BYTES)
    except StoredFileMissingError:
        return None
    except CorruptFileError as error:
        return CorruptFileError(error.message, hint=_HINT)
    except StorageUnavailableError as error:
        if not repository.is_bad_sector(error):
            raise
        return CorruptFileError(f"{file_name(INDEX, index_id)}: {error.message}", hint=_HINT)


def _or_error(index_id: IndexId, json: bytes) -> list[PackColumns] | CorruptFileError:
    try:
        return decode_index(json)
    except CorruptFileError as error:
        return CorruptFileError(f"{file_name(INDEX, index_id)}: {error.message}", hint=_HINT)
