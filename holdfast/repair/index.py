"""The index is repaired from the headers of packs.

A pack's header is read where the index does not speak of the pack, speaks of one of another size, or says two different
things; with `read_all_packs`, of all packs. Then, under the exclusive lock:

    1. packs and index files are listed again;
    2. new index files are written: for packs whose headers were read and whose files are still what they were; and, for
       each index file that cannot be read or says something wrong, one with what is right in it. What is wrong: packs
       that are not there (asked for by name), packs whose headers say something else, and what another file says too;
    3. the index files that were replaced are removed;
    4. marks of damage on packs that are not there are removed.

A crash before 3 leaves old and new files: what is wrong is still said, and what is right is said as well; a crash in 3
leaves some of the old ones. Doing it again finds in the index what was added, and does the rest.

A pack whose header cannot be read keeps what the index says of it: that is the only way to the blobs in it that are
sound. restic takes it out. `repair packs` saves them (packs.py); a verification says what is lost.

One index file, what is read ahead of it, and the headers of one shard are in memory at a time. They are read from the
store, past the cache.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from holdfast.errors import CorruptFileError, StorageUnavailableError, StoredFileMissingError
from holdfast.format.index import PackColumns, tail_bytes
from holdfast.ids import IndexId, PackId, sha256
from holdfast.repair.documents import FoundPack, PlannedPack, RepairRun, Report, ShardPlan, ShardResult
from holdfast.repository.caching import past_cache
from holdfast.repository.damage import DamageMarks
from holdfast.repository.index.files import MAX_BLOBS_PER_FILE, listed_files, read_files
from holdfast.repository.index.rewrite import write_checked
from holdfast.repository.layout import DATA, INDEX, file_name, list_ids
from holdfast.repository.packs.headers import read_header
from holdfast.repository.packs.stored import sizes_by_name
from holdfast.repository.repository import Repository
from holdfast.runs.attempts import Attempt
from holdfast.runs.progress import Progress
from holdfast.storage.parallel import ask_all

_SHARD_PACKS: Final = 4_096
_AT_ONCE: Final = 256
"""Headers between two looks at progress."""
_SAVE_S: Final = 5.0
_SIZE_BYTES: Final = 8
_DISPUTED: Final = b""
"""Index files say different things of a pack, or nothing."""
_REMOVED_AT_ONCE: Final = 1000


def packs_to_read(repository: Repository, *, every: bool) -> list[PlannedPack]:
    """The packs whose headers are to be read: those that the index does not describe as they are, or every one.

    Raises:
        StorageUnavailableError: the storage does not answer.
    """
    said = {} if every else _said(repository)
    return [
        PlannedPack(pack, size)
        for pack, size in sorted(_stored_packs(repository).items())
        if said.get(pack, _DISPUTED)[:_SIZE_BYTES] != _size_of(size)
    ]


def cut(packs: Sequence[PlannedPack]) -> Iterator[ShardPlan]:
    """Packs in shards: a header takes a request, whatever its pack measures."""
    for at in range(0, len(packs), _SHARD_PACKS):
        yield ShardPlan(packs=tuple(packs[at : at + _SHARD_PACKS]))


def read_headers(
    repository: Repository,
    packs: Sequence[PlannedPack],
    reached: ShardResult,
    attempt: Attempt,
    progress: Progress,
) -> ShardResult:
    """Read the headers of these packs, from where an earlier attempt came to; many at once.

    Raises:
        FencedError: a newer attempt has taken over, or the run was closed.
        StorageUnavailableError: the storage does not answer.
    """
    saved_at = time.monotonic()
    while reached.done < len(packs):
        batch = packs[reached.done : reached.done + _AT_ONCE]
        answers = ask_all(repository.storage, lambda pack: _header_of(repository, pack), batch)
        found = [answer for answer in answers if isinstance(answer, FoundPack)]
        reached = ShardResult(
            done=reached.done + len(batch),
            bytes_read=reached.bytes_read + sum(tail_bytes(pack.plain_lengths) for pack in found),
            found=(*reached.found, *found),
            damaged=(*reached.damaged, *(answer for answer in answers if isinstance(answer, bytes))),
        )
        progress(reached.done, 0)
        if time.monotonic() - saved_at >= _SAVE_S:
            attempt.save(reached)
            saved_at = time.monotonic()
    return reached


def rewrite_index(run: RepairRun, shards: int, check_lock: Callable[[], None], *, dry_run: bool) -> Report:
    """Write what was found into the index, and take out what is wrong; steps 1 to 4 of the module.

    check_lock raises when the exclusive lock is lost. dry_run: only count what would be done.

    Raises:
        RunStateError: results of the run are gone.
        StorageUnavailableError, StorageFullError, LockLostError: begun; doing it again finishes it.
    """
    repository = run.session.repository
    rewriting = _Rewriting(repository, _stored_packs(repository), check_lock, dry_run=dry_run)
    standing = listed_files(repository)  # before any of ours is written
    for result in run.plan.results(shards):
        rewriting.add_found(result)
    for index_id, named in read_files(past_cache(repository), standing):
        if named is not None:
            rewriting.look_through(index_id, named)
    return rewriting.finish()


class _Rewriting:
    """Collects what belongs into the index, writes it as files fill, and removes what was replaced at the end."""

    def __init__(
        self,
        repository: Repository,
        stored: Mapping[PackId, int],
        check_lock: Callable[[], None],
        *,
        dry_run: bool,
    ) -> None:
        self._repository = repository
        self._stored = dict(stored)
        self._check_lock = check_lock
        self._dry_run = dry_run
        self._report = Report()
        self._said: set[PackId] = set()
        self._read: set[PackId] = set()
        """Whose headers say what they hold: what index files say of them does not count."""
        self._missing: set[PackId] = set()
        self._new: list[PackColumns] = []
        self._new_blobs = 0
        self._replaced: list[IndexId] = []

    def add_found(self, result: ShardResult) -> None:
        """Add what headers have said, of packs that are still there."""
        self._report.packs_read += result.done
        self._report.packs_damaged += len(result.damaged)
        for found in result.found:
            pack = PackId(found.id)
            if self._stored.get(pack) == found.size_bytes and pack not in self._read:
                self._read.add(pack)
                self._add(found.columns)
                self._report.packs_added += 1

    def look_through(self, index_id: IndexId, named: list[PackColumns] | CorruptFileError) -> None:
        """Keep an index file that is right; else replace it by what is right in it."""
        if isinstance(named, CorruptFileError):
            self._replaced.append(index_id)
            return
        self._ask_for([pack.id for pack in named])
        kept = [pack for pack in named if self._is_right(pack.id)]
        if len(kept) < len(named):
            self._replaced.append(index_id)
            for pack in kept:
                self._add(pack)

    def finish(self) -> Report:
        """Write what is left to write, and remove what was replaced."""
        self._write()
        self._report.packs_missing = len(self._missing)
        self._report.index_files_removed = len(self._replaced)
        if not self._dry_run:
            names = [file_name(INDEX, index_id) for index_id in self._replaced]
            for at in range(0, len(names), _REMOVED_AT_ONCE):
                self._check_lock()
                self._repository.storage.delete_many(names[at : at + _REMOVED_AT_ONCE])
            marks = DamageMarks(self._repository)
            for pack in self._missing & marks.load().keys():
                marks.remove(pack)
        return self._report

    def _is_right(self, pack: PackId) -> bool:
        """Whether what an index file says of a pack is to stay; of several that say it, the first."""
        if pack in self._missing or pack in self._read or pack in self._said:
            return False
        self._said.add(pack)
        return True

    def _ask_for(self, packs: Sequence[PackId]) -> None:
        """Ask by name for packs that were not listed."""
        unlisted = [pack for pack in packs if pack not in self._stored and pack not in self._missing]
        for pack, size in sizes_by_name(self._repository.storage, unlisted).items():
            if size is None:
                self._missing.add(pack)
            else:
                self._stored[pack] = size

    def _add(self, pack: PackColumns) -> None:
        self._new.append(pack)
        self._new_blobs += len(pack.lengths)
        if self._new_blobs >= MAX_BLOBS_PER_FILE:
            self._write()

    def _write(self) -> None:
        if not self._new:
            return
        if not self._dry_run:
            written = write_checked(self._repository, self._new, self._check_lock)
            self._report.index_files_written += len(written)
        self._new, self._new_blobs = [], 0


def _stored_packs(repository: Repository) -> dict[PackId, int]:
    return {PackId(raw): size for raw, size in list_ids(repository.storage, DATA)}


def _said(repository: Repository) -> dict[PackId, bytes]:
    """What index files say of packs, in short: the size, and a digest of the rest; or _DISPUTED."""
    said: dict[PackId, bytes] = {}
    for _, named in read_files(past_cache(repository), listed_files(repository)):
        if named is None or isinstance(named, CorruptFileError):
            continue
        for pack in named:
            this = _in_short(pack)
            if said.setdefault(pack.id, this) != this:
                said[pack.id] = _DISPUTED
    return said


def _in_short(pack: PackColumns) -> bytes:
    rest = repr((list(pack.types), list(pack.lengths), list(pack.uncompressed_lengths)))
    size = sum(pack.lengths) + tail_bytes(pack.uncompressed_lengths)
    return _size_of(size) + sha256(pack.ids + rest.encode())[:_SIZE_BYTES]


def _size_of(size_bytes: int) -> bytes:
    return size_bytes.to_bytes(_SIZE_BYTES, "big")


def _header_of(repository: Repository, pack: PlannedPack) -> FoundPack | bytes | None:
    """What a pack says; its id where it cannot be read; None where it has gone."""
    try:
        blobs = read_header(repository, PackId(pack.id), pack.size_bytes)
    except StoredFileMissingError:
        return None
    except CorruptFileError:
        return pack.id
    except StorageUnavailableError as error:
        if not repository.is_bad_sector(error):
            raise
        return pack.id
    return FoundPack.of(PackId(pack.id), pack.size_bytes, blobs)
