"""The checkpoints of one shard: who may write them, which of them counts, and what was read twice.

Each attempt first claims an *epoch*, a number higher than that of every attempt before it, by creating its mark
(create-if-absent, so two attempts never share one). Temporal's attempt number would not do: it begins at 1 again
when a cancelled run is resumed.

    1. claim an epoch, and go on from the newest checkpoint of the newest epoch;
    2. before bytes are read, the mark says how far this attempt may read (backup/announcing.py moves it ahead);
    3. after packs became durable, a checkpoint says where the next attempt may go on;
    4. an attempt that sees a mark of a later epoch has been replaced: it stops (FencedError) and deletes nothing.

What an attempt read behind its last checkpoint is known only as "up to its mark", so `bytes_reread` is an upper
bound, exact to announcing.MARK_BYTES.
"""

from holdfast.backup.documents import Checkpoint, Mark, RunKey
from holdfast.errors import FencedError
from holdfast.repository.documents import encode, load
from holdfast.repository.workspace import Workspace


class ShardCheckpoints:
    """The checkpoints and marks of one shard, as one attempt uses them."""

    def __init__(self, workspace: Workspace, key: RunKey, shard: int) -> None:
        self._workspace = workspace
        self._key = key
        self._shard = shard
        self._epoch = -1
        self._sequence = 0
        self._start = 0
        self._marked = 0
        self._own: list[str] = []

    def claim(self) -> Checkpoint | None:
        """Take the next epoch; the checkpoint to go on from, if there is one."""
        newest = self._newest()
        checkpoint = None if newest is None else load(self._workspace, newest, Checkpoint)
        self._start = self._marked = 0 if checkpoint is None else checkpoint.position
        epoch = max(self._epochs(), default=-1) + 1
        while not self._workspace.put_new(self._mark_name(epoch), self._mark(self._marked)):
            epoch += 1
        self._epoch = epoch
        return checkpoint

    def reject(self) -> None:
        """The checkpoint named packs that are gone: this attempt begins at the start after all."""
        self._start = 0
        self.mark(0)

    @property
    def is_first_attempt(self) -> bool:
        """Whether nobody has begun this shard before. Valid after `claim`."""
        return self._epoch == 0

    @property
    def marked(self) -> int:
        """Up to where the mark that stands says that this attempt may read."""
        return self._marked

    def mark(self, position: int) -> None:
        """Say, before it happens, that this attempt may read up to `position`."""
        self._workspace.put(self._mark_name(self._epoch), self._mark(position))
        self._marked = position

    def save(self, checkpoint: Checkpoint) -> None:
        """Make a checkpoint durable, then drop this attempt's earlier ones.

        Raises:
            FencedError: a newer attempt has begun.
        """
        self.check_fence()
        name = self._key.shard(self._shard, f"cp-{self._epoch:06d}-{self._sequence:06d}")
        self._sequence += 1
        self._workspace.put(name, encode(checkpoint))
        superseded, self._own = self._own, [name]
        self._workspace.remove_many(superseded)

    def check_fence(self) -> None:
        """Raises FencedError when an attempt with a later epoch exists."""
        if max(self._epochs(), default=-1) > self._epoch:
            raise FencedError(f"shard {self._shard} is in the hands of a newer attempt")

    def reading_so_far(self, position: int) -> tuple[int, int]:
        """What all attempts read: (bytes read again, attempts that went on from a checkpoint).

        `position`: how far this attempt has come; the reading of earlier ones ends at their marks.
        """
        read = resumed = 0
        for epoch in self._epochs():
            mark = self._load_mark(epoch)
            if mark is None:
                continue
            end = position if epoch == self._epoch else mark.position
            read += max(0, end - mark.start)
            resumed += epoch > 0 and mark.start > 0
        return max(0, read - position), resumed

    def clear(self) -> None:
        """Drop all checkpoints of the shard: its result stands, or its packs are gone."""
        self._workspace.remove_many(self._checkpoint_names())

    def _mark(self, position: int) -> bytes:
        return encode(Mark(start=self._start, position=position))

    def _mark_name(self, epoch: int) -> str:
        return self._key.shard(self._shard, f"mark-{epoch:06d}")

    def _load_mark(self, epoch: int) -> Mark | None:
        return load(self._workspace, self._mark_name(epoch), Mark)

    def _epochs(self) -> list[int]:
        prefix = self._key.shard(self._shard, "mark-")
        return [int(name.removeprefix(prefix)) for name in self._names() if name.startswith(prefix)]

    def _checkpoint_names(self) -> list[str]:
        prefix = self._key.shard(self._shard, "cp-")
        return sorted(name for name in self._names() if name.startswith(prefix))

    def _newest(self) -> str | None:
        names = self._checkpoint_names()
        return names[-1] if names else None

    def _names(self) -> list[str]:
        return list(self._workspace.list(self._key.shard(self._shard, "").rstrip("/")))
