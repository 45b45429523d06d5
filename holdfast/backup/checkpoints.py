"""The checkpoints of one shard: who may write them, which of them counts, and what was read twice.

Each attempt first claims an *epoch*, its number among all attempts, by creating its mark (repository/fence.py).

    1. claim an epoch, and go on from the newest checkpoint of the newest epoch;
    2. before bytes are read, the mark says how far this attempt may read (backup/announcing.py moves it ahead);
    3. after packs became durable, a checkpoint says where the next attempt may go on;
    4. an attempt that sees a mark of a later epoch, or misses its own, is no longer wanted: it stops (FencedError) and
       deletes nothing.

What an attempt read behind its last checkpoint is known only as "up to its mark", so `bytes_reread` is an upper
bound, exact to the distance of checkpoints.
"""

from holdfast.backup.documents import Checkpoint, Mark, RunKey
from holdfast.repository.documents import encode, load
from holdfast.repository.fence import Fence
from holdfast.repository.workspace import Workspace


class ShardCheckpoints:
    """The checkpoints and marks of one shard, as one attempt uses them."""

    def __init__(self, workspace: Workspace, key: RunKey, shard: int) -> None:
        self._workspace = workspace
        self._key = key
        self._shard = shard
        self._fence = Fence(workspace, key.shard(shard, "").rstrip("/"), "mark-", work=f"shard {shard}")
        self._sequence = 0
        self._start = 0
        self._marked = 0
        self._own: list[str] = []

    def claim(self) -> Checkpoint | None:
        """Take the next epoch; the checkpoint to go on from, if there is one."""
        newest = self._newest()
        checkpoint = None if newest is None else load(self._workspace, newest, Checkpoint)
        self._start = self._marked = 0 if checkpoint is None else checkpoint.position
        self._fence.claim(self._mark(self._marked))
        return checkpoint

    def reject(self) -> None:
        """The checkpoint named packs that are gone: this attempt begins at the start after all."""
        self._start = 0
        self.mark(0)

    @property
    def is_first_attempt(self) -> bool:
        """Whether nobody has begun this shard before. Valid after `claim`."""
        return self._fence.number == 0

    @property
    def marked(self) -> int:
        """Up to where the mark that stands says that this attempt may read."""
        return self._marked

    def mark(self, position: int) -> None:
        """Say, before it happens, that this attempt may read up to `position`."""
        self._workspace.put(self._fence.mark_name(self._fence.number), self._mark(position))
        self._marked = position

    def save(self, checkpoint: Checkpoint) -> None:
        """Make a checkpoint durable, then drop this attempt's earlier ones.

        Raises:
            FencedError: a newer attempt has begun, or the run was closed.
        """
        self._fence.check()
        name = self._key.shard(self._shard, f"cp-{self._fence.number:06d}-{self._sequence:06d}")
        self._sequence += 1
        self._workspace.put(name, encode(checkpoint))
        superseded, self._own = self._own, [name]
        self._workspace.remove_many(superseded)

    def reading_so_far(self, position: int) -> tuple[int, int]:
        """What all attempts read: (bytes read again, attempts that went on from a checkpoint).

        `position`: how far this attempt has come; the reading of earlier ones ends at their marks.
        """
        read = resumed = 0
        for epoch in self._fence.numbers():
            mark = self._load_mark(epoch)
            if mark is None:
                continue
            end = position if epoch == self._fence.number else mark.position
            read += max(0, end - mark.start)
            resumed += epoch > 0 and mark.start > 0
        return max(0, read - position), resumed

    def clear(self) -> None:
        """Drop all checkpoints of the shard: its result stands, or its packs are gone."""
        self._workspace.remove_many(self._checkpoint_names())

    def _mark(self, position: int) -> bytes:
        return encode(Mark(start=self._start, position=position))

    def _load_mark(self, epoch: int) -> Mark | None:
        return load(self._workspace, self._fence.mark_name(epoch), Mark)

    def _checkpoint_names(self) -> list[str]:
        prefix = self._key.shard(self._shard, "cp-")
        return sorted(name for name in self._names() if name.startswith(prefix))

    def _newest(self) -> str | None:
        names = self._checkpoint_names()
        return names[-1] if names else None

    def _names(self) -> list[str]:
        return list(self._workspace.list(self._key.shard(self._shard, "").rstrip("/")))
