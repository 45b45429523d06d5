"""Store one shard: read its files, save what is new, checkpoint as packs become durable, index at the end.

Safe to run twice, at once, or late:
    1. a result that stands is returned at once;
    2. the attempt claims its number, and takes over the newest checkpoint, if all that it names is still there;
    3. files are read; packs, then checkpoints, become durable as it goes;
    4. the packs are written to an index file, then the result is created if absent, then checkpoints are dropped.
A crash between any two steps leaves durable packs and a checkpoint that names them, or orphan packs that nobody needs.

The event loop belongs to heartbeats and cancellation. Small files are read, and everything is computed, in one thread,
which another one helps with the chunks of large files while a core is idle; large files are read ahead in a third by
aiofiles; finished packs are stored by the packer's threads.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar

from holdfast.backup.documents import (
    Checkpoint,
    FileToRead,
    Outcome,
    ShardPlan,
    ShardResult,
    Stored,
)
from holdfast.backup.run import BackupRun
from holdfast.backup.store.announcer import Announcer
from holdfast.backup.store.blocks import BlockStream
from holdfast.backup.store.checkpoints import ShardCheckpoints
from holdfast.backup.store.claims import ClaimTable
from holdfast.backup.store.command_source import CommandReader
from holdfast.backup.store.handed_stream import HandedReader
from holdfast.backup.store.large_files import LargeFileReader
from holdfast.backup.store.output import OutputStore
from holdfast.backup.store.sink import BlobSink
from holdfast.backup.store.small_files import OutgrownError, SmallFileReader
from holdfast.backup.store.source_directories import SourceDirectories
from holdfast.backup.store.state import ShardState
from holdfast.chunker import Chunker
from holdfast.format.index import BlobType
from holdfast.ids import BlobId
from holdfast.pace import Pace
from holdfast.repository.condemned import are_condemned
from holdfast.repository.packs.packer import Packer
from holdfast.repository.session import HeldRepository
from holdfast.runs.progress import Progress
from holdfast.sizes import BackupSizes
from holdfast.source.metadata import MetadataReader
from holdfast.source.spec import SourceSpec

_STOP_GRACE_S: Final = 15.0
ReturnT = TypeVar("ReturnT")


async def store_shard(
    run: BackupRun,
    spec: SourceSpec,
    shard: int,
    progress: Progress,
    *,
    pace: Pace | None = None,
    claims: ClaimTable | None = None,
    on_read: Callable[[], None] | None = None,
) -> ShardResult:
    """Store one shard; the result that stands.

    pace: how fast the source may be read, None for no limit. claims: what the shards under way tell each other.
    on_read: called when all is read, and what is left is to wait until it is durable.

    Raises:
        RunStateError: the plan of the shard is gone.
        FencedError: a newer attempt has taken over.
        StorageUnavailableError, StorageFullError, StorageDeniedError, LockLostError: from the repository.
    """
    plan = run.plan
    standing = await asyncio.to_thread(plan.result_or_none, shard)
    if standing is not None:
        return standing
    planned = await asyncio.to_thread(plan.shard, shard)
    async with run.session.holding() as held:
        attempt = ShardAttempt(held, run, spec, shard, planned, progress, pace, claims)
        return await attempt.run(on_read)


class ShardAttempt:
    """One attempt at one shard."""

    def __init__(
        self,
        held: HeldRepository,
        run: BackupRun,
        spec: SourceSpec,
        shard: int,
        plan: ShardPlan,
        progress: Progress,
        pace: Pace | None,
        claims: ClaimTable | None,
    ) -> None:
        self._held = held
        self._sizes = held.sizes.backup
        self._conclude = partial(run.plan.conclude, shard)
        self._plan = plan
        self._spec = spec
        self._progress = progress
        self._pace = pace
        self._checkpoints = ShardCheckpoints(run.plan.attempt(shard))
        self._announcer = Announcer(self._checkpoints, plan.bytes_to_read, self._sizes.checkpoint_bytes)
        self._claims = None if claims is None else claims.of_shard(held.repository.id, run.run_id, shard)
        self._metadata = MetadataReader(with_atime=spec.with_atime)
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="shard")
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="read")

    async def run(self, on_read: Callable[[], None] | None) -> ShardResult:
        """Store the shard; see `store_shard`."""
        repository = self._held.repository
        try:
            checkpoint = await self._compute(self._take_over)
            with (
                Packer(
                    repository,
                    BlobType.DATA,
                    compression=self._held.compression,
                    pack_size_bytes=self._held.pack_size_bytes,
                    check_lock=self._held.check_lock,
                ) as packer,
                SourceDirectories(self._spec, self._plan.directories) as directories,
            ):
                # What was promised to an earlier attempt may be what was not kept: later ones rely on nobody.
                claims = self._claims if self._checkpoints.is_first_attempt else None
                sink = BlobSink(self._held.index, packer, Chunker(repository.chunker_seed), claims)
                state = ShardState(
                    packer, self._checkpoints, checkpoint, self._sizes.checkpoint_bytes, sink.borrowed
                )
                sink.knows({blob.id for pack in state.pending for blob in pack.blobs})
                try:
                    await self._read(state, sink, directories)
                except asyncio.CancelledError:
                    await self._stop(state)
                    raise
                if on_read is not None:
                    on_read()
                return await self._compute(self._finish, state, packer)
        finally:
            self._executor.shutdown(wait=False)
            self._reader.shutdown(wait=False)

    async def _read(self, state: ShardState, sink: BlobSink, directories: SourceDirectories) -> None:
        try:
            if self._spec.is_stream:
                await self._read_stream(state, sink)
            else:
                await self._read_all(state, sink, directories)
        finally:
            await self._announcer.settle()
        # The next shard begins afresh: what the last piece is worth, it waits here.
        await self._hold_back(0)

    async def _read_all(self, state: ShardState, sink: BlobSink, directories: SourceDirectories) -> None:
        small = SmallFileReader(sink, self._metadata, self._sizes.small_file_bytes)
        stream = BlockStream(self._reader)
        large = LargeFileReader(
            sink,
            self._metadata,
            state,
            directories,
            stream,
            self._compute,
            self._announcer.announce,
            self._hold_back,
        )
        files = self._plan.files
        while (done := len(state.outcomes)) < len(files):
            batch = _batch(files, done, self._piece_bytes(self._sizes.batch_bytes), self._sizes)
            if batch:
                size = sum(file.size for file in batch)
                await self._announcer.announce(state.position + size)
                await self._hold_back(size)
            if not batch or not await self._compute(self._read_batch, small, state, directories, batch):
                await large.read(files[len(state.outcomes)], self._progressed(state))
                await self._compute(state.checkpoint_if_due)
            self._progressed(state)()
        small.release()
        stream.release()

    async def _read_stream(self, state: ShardState, sink: BlobSink) -> None:
        """The one file of a source that is a stream; a checkpoint has it whole or not at all."""
        if state.outcomes:
            return
        spec = self._spec
        output = OutputStore(sink, self._reader, self._compute, self._hold_back)
        source = (
            HandedReader(spec.door, output, allow_empty=spec.allow_empty)
            if spec.door
            else CommandReader(spec.command, dict(spec.command_environ), output, allow_empty=spec.allow_empty)
        )
        stored = await source.read(self._plan.files[0].name, lambda count: self._progress(0, count))
        state.end_files([stored], stored.size_bytes)

    def _read_batch(
        self,
        small: SmallFileReader,
        state: ShardState,
        directories: SourceDirectories,
        batch: list[FileToRead],
    ) -> bool:
        """Read these files; False where one of them turned out to be too large (it is the next one then)."""
        outcomes: list[Outcome] = []
        whole = True
        for file in batch:
            try:
                directory = directories.open(file.directory)
                outcomes.append(directory if not isinstance(directory, int) else small.read(directory, file))
            except OutgrownError:
                whole = False
                break
        state.end_files(outcomes, small.take_bytes_read())
        state.checkpoint_if_due()
        return whole

    def _progressed(self, state: ShardState) -> Callable[[], None]:
        return lambda: self._progress(len(state.outcomes), state.position)

    async def _hold_back(self, count: int) -> None:
        """Wait until so many bytes are due."""
        if self._pace is not None:
            wait_s = self._pace.spend(count)
            if wait_s:
                await asyncio.sleep(wait_s)

    def _piece_bytes(self, most: int) -> int:
        return most if self._pace is None else self._pace.piece_bytes(most)

    async def _compute(self, function: Callable[..., ReturnT], *arguments: object) -> ReturnT:
        return await asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments)

    def _take_over(self) -> Checkpoint | None:
        """Claim the shard; the checkpoint to go on from, if everything that it names is still in the repository."""
        checkpoint = self._checkpoints.claim()
        if checkpoint is None or self._is_whole(checkpoint):
            return checkpoint
        self._checkpoints.reject()
        return None

    def _is_whole(self, checkpoint: Checkpoint) -> bool:
        """Whether all that a checkpoint speaks of is there, and is not about to be deleted by a prune."""
        packs = checkpoint.pending
        if are_condemned(self._held.repository, [pack.id for pack in packs]):
            return False
        sizes = self._held.stored_sizes([pack.id for pack in packs], own=True)
        if any(sizes[pack.id] != pack.size_bytes for pack in packs):
            return False
        known: set[bytes] = set(checkpoint.borrowed)  # the commit will look for those
        known.update(blob.id for pack in packs for blob in pack.blobs)
        content = [o.node.content_ids for o in checkpoint.outcomes if isinstance(o, Stored)]
        if checkpoint.open_file is not None:
            content.append(tuple(BlobId(raw) for raw in checkpoint.open_file.content))
        index = self._held.index
        return all(blob in known or index.has(blob, BlobType.DATA) for ids in content for blob in ids)

    def _finish(self, state: ShardState, packer: Packer) -> ShardResult:
        packer.flush()
        state.take_stored()
        self._held.write_index(state.pending)
        result = self._conclude(state.result())
        self._checkpoints.drop()
        return result

    async def _stop(self, state: ShardState) -> None:
        """Being cancelled: keep what was read, within a grace period. What cannot be kept is read again."""
        saving = asyncio.get_running_loop().run_in_executor(self._executor, state.save_all)
        await asyncio.wait([saving], timeout=_STOP_GRACE_S)
        if saving.done() and not saving.cancelled():
            saving.exception()


def _batch(
    files: tuple[FileToRead, ...], start: int, most_bytes: int, sizes: BackupSizes
) -> list[FileToRead]:
    """The small files from `start` on that go into one thread hop; empty where a large one comes first."""
    batch: list[FileToRead] = []
    size = 0
    small_file_bytes = sizes.small_file_bytes
    for file in files[start : start + sizes.batch_files]:
        if file.size >= small_file_bytes or file.end >= 0 or file.start > 0 or size >= most_bytes:
            break
        batch.append(file)
        size += file.size
    return batch
