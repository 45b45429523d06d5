"""Copy what is used out of packs that will go. It only adds, so it is safe beside everybody.

    1. a result that stands is returned at once;
    2. blobs that a pack which stays has as well are left out: what an earlier attempt has copied and indexed, too. So
       are those that no index names now: others have pruned; `switch` finds out whether anything needs them;
    3. the others are read, opened and held against their hash, and sealed again as they are, compressed or not; what is
       not compressed and could be is compressed. A blob that cannot be read is told, and its pack stays;
    4. packs, then the index file that names them, become durable, then the result is created if absent.

A crash before 4 leaves packs that no index names, which a later prune removes.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from holdfast.errors import CorruptFileError, StoredFileMissingError
from holdfast.format.index import BlobEntry, BlobType, IndexPack
from holdfast.format.pack import Compressed
from holdfast.ids import BlobId, PackId
from holdfast.pace import Pace, wait_out
from holdfast.prune.documents import PruneRun, RepackResult, RepackShard, split_ids
from holdfast.prune.plan import packs_that_go
from holdfast.repository.index.marks import BlobMarks
from holdfast.repository.layout import pack_name
from holdfast.repository.packs.loader import PackRange
from holdfast.repository.packs.packer import Packer
from holdfast.repository.second_look import looked_at_again
from holdfast.repository.session import HeldRepository
from holdfast.runs.progress import Progress


@dataclass(slots=True)
class _Copied:
    """What an attempt has done."""

    blobs: int = 0
    bytes_read: int = 0
    stored: list[IndexPack] = field(default_factory=list)
    stay: set[PackId] = field(default_factory=set)
    damaged: set[BlobId] = field(default_factory=set)


def repack_shard(run: PruneRun, number: int, progress: Progress, pace: Pace | None = None) -> RepackResult:
    """Copy what is used out of the packs of one shard; the result that stands. progress: blobs, and bytes read.

    Raises:
        RunStateError: the plan is gone. FencedError: a newer attempt has taken over, or the run was closed.
        StorageUnavailableError, StorageFullError, LockLostError, …: from the repository.
    """
    plan = run.plan
    standing = plan.result_or_none(number)
    if standing is not None:
        return standing
    shard = plan.shard(number)
    going = packs_that_go(run)
    attempt = plan.attempt(number)
    attempt.claim()
    copied = _Copied()
    with run.session.hold() as held:
        elsewhere = BlobMarks(held.index, going)
        for kind in BlobType:
            only_there = elsewhere.mark(_ids(shard, kind), kind)[1]
            wanted = [blob for blob in only_there if held.index.lookup(BlobId(blob), kind) is not None]
            if wanted:
                _copy(held, wanted, kind, copied, progress, pace)
        attempt.check()
        if copied.stay:
            held.confirm()  # what was not there may have been removed under us
        held.write_index(copied.stored)
    return plan.conclude(
        number,
        RepackResult(
            blobs=copied.blobs,
            bytes_read=copied.bytes_read,
            packs_written=len(copied.stored),
            bytes_written=sum(pack.size_bytes for pack in copied.stored),
            stay=tuple(sorted(copied.stay)),
            damaged=tuple(sorted(copied.damaged)),
        ),
    )


def _ids(shard: RepackShard, kind: BlobType) -> list[bytes]:
    columns = (pack.trees if kind is BlobType.TREE else pack.data for pack in shard.packs)
    return [blob for ids in columns for blob in split_ids(ids)]


def _copy(
    held: HeldRepository,
    wanted: Sequence[bytes],
    kind: BlobType,
    copied: _Copied,
    progress: Progress,
    pace: Pace | None,
) -> None:
    ranges = held.loader.plan_reads(map(BlobId, wanted), kind)
    with Packer(
        held.repository,
        kind,
        compression=held.compression,
        pack_size_bytes=held.pack_size_bytes,
        check_lock=held.check_lock,
    ) as packer:
        for planned, sealed in _read_ahead(
            held, ranges, pace, lambda: progress(copied.blobs, copied.bytes_read)
        ):
            for entry in planned.entries:
                _copy_one(held, planned, sealed, entry, packer, copied)
            copied.bytes_read += planned.length
            progress(copied.blobs, copied.bytes_read)
        packer.flush()
        copied.stored += packer.take_stored()


def _copy_one(
    held: HeldRepository,
    planned: PackRange,
    sealed: memoryview | None,
    entry: BlobEntry,
    packer: Packer,
    copied: _Copied,
) -> None:
    try:
        blob = _opened(held, planned, sealed, entry)
    except (CorruptFileError, StoredFileMissingError):
        copied.stay.add(planned.pack)
        copied.damaged.add(entry.id)
        return
    if blob.plain_bytes:
        packer.add_compressed(entry.id, blob)
    else:
        packer.add(entry.id, blob.data)
    copied.blobs += 1


def _opened(
    held: HeldRepository, planned: PackRange, sealed: memoryview | None, entry: BlobEntry
) -> Compressed:
    """A blob as it was sealed, held against its id; read by itself where the range could not be read or is bad."""
    repository = held.repository
    if sealed is not None:
        start = entry.offset - planned.offset
        try:
            return repository.decoder().open(sealed[start : start + entry.length], entry)
        except CorruptFileError:
            pass

    def read() -> Compressed:
        alone = repository.storage.get_range(pack_name(planned.pack), entry.offset, entry.length)
        return repository.decoder().open(alone, entry)

    return looked_at_again(repository.storage, read)


def _read_ahead(
    held: HeldRepository, ranges: Sequence[PackRange], pace: Pace | None, on_wait: Callable[[], None]
) -> Iterator[tuple[PackRange, memoryview | None]]:
    """The ranges in order with their bytes, while the next ones are read; None for one that cannot be read."""
    storage = held.repository.storage

    def read(planned: PackRange) -> memoryview | None:
        try:
            return memoryview(storage.get_range(pack_name(planned.pack), planned.offset, planned.length))
        except (CorruptFileError, StoredFileMissingError):
            return None

    left = iter(ranges)
    ahead: deque[tuple[PackRange, Future[memoryview | None]]] = deque()
    with ThreadPoolExecutor(held.loader.transfers, thread_name_prefix="repack") as pool:
        try:
            while True:
                while len(ahead) < held.loader.transfers and (planned := next(left, None)) is not None:
                    if pace is not None:
                        wait_out(pace.spend(planned.length), on_wait)
                    ahead.append((planned, pool.submit(read, planned)))
                if not ahead:
                    return
                planned, reading = ahead.popleft()
                yield planned, reading.result()
        finally:
            for _, reading in ahead:
                reading.cancel()
