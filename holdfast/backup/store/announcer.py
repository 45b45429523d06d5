"""Keeps the mark of a shard ahead of its reading, so that the reading hardly ever waits for it.

                 read so far        announced                 mark
    |-----------------|-----------------|----------------------|
                                        └ less than a quarter of `ahead`: the next mark is being written

The mark is durable before a byte behind it is read; it is moved while there is still room before it.
"""

import asyncio

from holdfast.backup.store.checkpoints import ShardCheckpoints


class Announcer:
    """Announces the reading of one attempt at one shard. One reader uses it, on the event loop."""

    def __init__(self, checkpoints: ShardCheckpoints, end: int, ahead: int) -> None:
        """end: how far the plan says that there is something to read.

        ahead: how far the mark is from what is announced, at most. What is read twice need not be known better than the
        distance of checkpoints.
        """
        self._ahead = ahead
        self._checkpoints = checkpoints
        self._end = end
        self._moving: asyncio.Future[None] | None = None

    async def announce(self, position: int) -> None:
        """Return once the mark allows to read up to `position`.

        Raises:
            StorageUnavailableError, StorageFullError, StorageDeniedError: the mark cannot be moved.
        """
        while position > self._checkpoints.marked:
            await self._move(position)
            await self.settle()
        if self._checkpoints.marked < min(position + self._ahead // 4, self._end):
            await self._move(position)

    @property
    def is_moving(self) -> bool:
        """Whether a mark is being written."""
        return self._moving is not None and not self._moving.done()

    async def settle(self) -> None:
        """Wait until nothing is under way. A thread cannot be cancelled: who is, has to settle once more.

        Raises:
            StorageUnavailableError, StorageFullError, StorageDeniedError: the mark cannot be moved.
        """
        moving = self._moving
        if moving is None:
            return
        try:
            await asyncio.shield(moving)
        finally:
            if moving.done():
                self._moving = None

    async def _move(self, position: int) -> None:
        """Begin to move the mark, unless that is under way."""
        if not self.is_moving:
            await self.settle()
            ahead = max(position, min(position + self._ahead, self._end))
            self._moving = asyncio.ensure_future(asyncio.to_thread(self._checkpoints.mark, ahead))
