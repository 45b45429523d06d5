"""The checkpoints of one shard: which of them counts, how far an attempt may read, and what was read twice.

    1. the attempt claims a number, and goes on from the newest checkpoint (runs/attempts.py);
    2. before bytes are read, its mark says how far this attempt may read (backup/store/announcer.py moves it ahead);
    3. after packs became durable, a checkpoint says where the next attempt may go on;
    4. an attempt that sees a mark of a later one, or misses its own, is no longer wanted: it stops (FencedError) and
       deletes nothing.

What an attempt read behind its last checkpoint is known only as "up to its mark", so `bytes_reread` is an upper
bound, exact to the distance of checkpoints.
"""

from holdfast.backup.documents import Checkpoint, Mark
from holdfast.repository.documents import encode
from holdfast.runs.attempts import Attempt


class ShardCheckpoints:
    """The checkpoints and the mark of one attempt at a shard."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._start = 0
        self._marked = 0

    def claim(self) -> Checkpoint | None:
        """Begin the attempt; the checkpoint to go on from, if there is one."""
        return self._attempt.resume(Checkpoint, self._begin_at)

    def reject(self) -> None:
        """Begin at the start after all: the checkpoint named packs that are gone."""
        self._start = 0
        self.mark(0)

    @property
    def is_first_attempt(self) -> bool:
        """Whether nobody has begun this shard before. Valid after `claim`."""
        return self._attempt.number == 0

    @property
    def marked(self) -> int:
        """Up to where the mark that stands says that this attempt may read."""
        return self._marked

    def mark(self, position: int) -> None:
        """Say, before it happens, that this attempt may read up to `position`."""
        self._attempt.mark(self._mark(position))
        self._marked = position

    def save(self, checkpoint: Checkpoint) -> None:
        """Make a checkpoint durable, then drop this attempt's earlier ones.

        Raises:
            FencedError: a newer attempt has begun, or the run was closed.
        """
        self._attempt.save(checkpoint)

    def reading_so_far(self, position: int) -> tuple[int, int]:
        """What all attempts read: (bytes read again, attempts that went on from a checkpoint).

        `position`: how far this attempt has come; the reading of earlier ones ends at their marks.
        """
        read = resumed = 0
        for number, mark in self._attempt.marks(Mark):
            end = position if number == self._attempt.number else mark.position
            read += max(0, end - mark.start)
            resumed += number > 0 and mark.start > 0
        return max(0, read - position), resumed

    def drop(self) -> None:
        """Drop all checkpoints of the shard: its result stands."""
        self._attempt.drop_checkpoints()

    def _begin_at(self, checkpoint: Checkpoint | None) -> bytes:
        self._start = self._marked = 0 if checkpoint is None else checkpoint.position
        return self._mark(self._marked)

    def _mark(self, position: int) -> bytes:
        return encode(Mark(start=self._start, position=position))
