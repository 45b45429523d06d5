"""How far an attempt has come with its shard, and the checkpoint that says so.

Kept apart from the reading: readers report positions; this module knows which of them are durable, when the next
checkpoint is due, and what goes into it.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from holdfast.backup.documents import (
    Checkpoint,
    Failed,
    OpenFile,
    Outcome,
    ShardResult,
)
from holdfast.backup.store.checkpoints import ShardCheckpoints
from holdfast.backup.store.file_outcomes import Identity
from holdfast.backup.store.frontier import DurablePositions, Position
from holdfast.format.index import IndexPack
from holdfast.ids import BlobId
from holdfast.repository.packs.packer import Packer
from holdfast.terms import StoredTotals

CHECKPOINT_INTERVAL_S: Final = 5.0
FLUSH_INTERVAL_S: Final = 30.0


@dataclass(slots=True)
class OpenFileState:
    """The large file that is being read: what it looked like when opened, and its content so far."""

    identity: Identity
    content: list[BlobId] = field(default_factory=list)
    size_bytes: int = 0


class ShardState:
    """The progress of one attempt at one shard."""

    def __init__(
        self,
        packer: Packer,
        checkpoints: ShardCheckpoints,
        resumed_from: Checkpoint | None,
        checkpoint_bytes: int,
        borrowed: Sequence[BlobId] = (),
    ) -> None:
        """checkpoint_bytes: see BackupSizes. borrowed: the blobs left to other shards, as the list grows."""
        self._packer = packer
        self._checkpoint_bytes = checkpoint_bytes
        self._borrowed = borrowed
        self._borrowed_before = () if resumed_from is None else resumed_from.borrowed
        self._checkpoints = checkpoints
        before = StoredTotals() if resumed_from is None else resumed_from.totals
        self._data_blobs = before.data_blobs
        self._data_added = before.data_added
        self._data_added_packed = before.data_added_packed
        self._saves = before.checkpoints
        self._files = self._errors = self._warnings = 0
        self.outcomes: list[Outcome] = [] if resumed_from is None else list(resumed_from.outcomes)
        self._count(self.outcomes)
        self.position = 0 if resumed_from is None else resumed_from.position
        self.resume_file = None if resumed_from is None else resumed_from.open_file
        self._open_files: dict[int, OpenFileState] = {}
        self.pending: list[IndexPack] = []
        self.packs: list[bytes] = []
        if resumed_from is not None:
            self.pending = list(resumed_from.pending)
            self.packs = list(resumed_from.packs)
        start = Position(files=len(self.outcomes), bytes_read=self.position)
        self._positions = DurablePositions(start)
        self._saved = start
        self._saved_at = self._flushed_at = time.monotonic()

    def begin_file(self, state: OpenFileState, *, resumed_at: int) -> None:
        """A large file is open; `resumed_at` is the offset from which it goes on."""
        self._open_files[len(self.outcomes)] = state
        if resumed_at == 0:
            self._positions.restart_file(Position(files=len(self.outcomes), bytes_read=self.position))

    def reached_in_file(self, offset: int, bytes_read: int) -> None:
        """The open file is read and saved up to `offset`."""
        self.position += bytes_read
        files = len(self.outcomes)
        chunks = len(self._open_files[files].content)
        here = Position(files=files, offset=offset, chunks=chunks, bytes_read=self.position)
        self._positions.reached(here, self._packer.next_sequence)

    def end_files(self, outcomes: list[Outcome], bytes_read: int) -> None:
        """These files are done, successfully or not."""
        self.outcomes.extend(outcomes)
        self._count(outcomes)
        self.position += bytes_read
        here = Position(files=len(self.outcomes), bytes_read=self.position)
        self._positions.reached(here, self._packer.next_sequence)

    def checkpoint_if_due(self) -> None:
        """Write a checkpoint when enough became durable; make packs durable early when too much waits.

        The distance from the last checkpoint stays below three times checkpoint_bytes and one batch, however well the
        data compresses.
        """
        now = time.monotonic()
        waiting = self.position - self._saved.bytes_read
        if waiting >= 3 * self._checkpoint_bytes:
            self._packer.flush()
        elif now - self._flushed_at > (1.0 if waiting >= 2 * self._checkpoint_bytes else FLUSH_INTERVAL_S):
            self._packer.begin_flush()
            self._flushed_at = now
        durable = self._positions.advance(self._packer.frontier())
        gained = durable.bytes_read - self._saved.bytes_read
        due = gained >= self._checkpoint_bytes or now - self._saved_at >= CHECKPOINT_INTERVAL_S
        if due and durable != self._saved:
            self._save(durable)

    def save_all(self) -> None:
        """Make everything durable and write a last checkpoint: the attempt is being stopped."""
        self._packer.flush()
        durable = self._positions.advance(self._packer.frontier())
        if durable != self._saved:
            self._save(durable)

    def take_stored(self) -> None:
        """Move the packs that became durable to the pending ones."""
        for pack in self._packer.take_stored():
            self.pending.append(pack)
            self.packs.append(pack.id)
            self._data_blobs += len(pack.blobs)
            self._data_added += sum([blob.plaintext_bytes for blob in pack.blobs])
            self._data_added_packed += sum([blob.length for blob in pack.blobs])

    def result(self) -> ShardResult:
        """What stands in the shard's result once all is durable and indexed."""
        return ShardResult(outcomes=tuple(self.outcomes), totals=self._totals(), packs=tuple(self.packs))

    def _save(self, durable: Position) -> None:
        # Packs that are durable but hold later blobs may be named as well: they are durable, which is all it says.
        self.take_stored()
        for finished in [index for index in self._open_files if index < durable.files]:
            del self._open_files[finished]
        open_file = None
        if durable.offset:
            state = self._open_files[durable.files]
            open_file = OpenFile(
                offset=durable.offset,
                content=tuple(state.content[: durable.chunks]),
                identity=state.identity.as_tuple(),
            )
        self._saves += 1
        self._checkpoints.save(
            Checkpoint(
                outcomes=tuple(self.outcomes[: durable.files]),
                position=durable.bytes_read,
                open_file=open_file,
                pending=tuple(self.pending),
                packs=tuple(self.packs),
                totals=self._totals(),
                borrowed=(*self._borrowed_before, *self._borrowed),
            )
        )
        self._saved = durable
        self._saved_at = time.monotonic()

    def _totals(self) -> StoredTotals:
        reread, resumed = self._checkpoints.reading_so_far(self.position)
        return StoredTotals(
            files=self._files,
            bytes_read=self.position + reread,
            bytes_reread=reread,
            checkpoints=self._saves,
            checkpoints_resumed=resumed,
            data_blobs=self._data_blobs,
            data_added=self._data_added,
            data_added_packed=self._data_added_packed,
            errors=self._errors,
            warnings=self._warnings,
        )

    def _count(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            if isinstance(outcome, Failed):
                self._errors += 1
            else:
                self._files += 1
                if outcome.warning:
                    self._warnings += 1
                    self._errors += outcome.lost
