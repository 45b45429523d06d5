"""Positions of a shard that become safe as their blobs become durable.

A *mark* pairs a position (files finished, bytes into the open file) with the number of the last blob that it needs.
Once the packer's frontier has passed that blob, everything before the position is durable, and a checkpoint may say so.
"""

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place in a shard's reading.

    files: outcomes before it. offset: bytes into the next file, with `chunks` ids of its content stored so far.
    bytes_read: on the scale of the whole shard.
    """

    files: int
    offset: int = 0
    chunks: int = 0
    bytes_read: int = 0


class DurablePositions:
    """The queue of positions that wait for their blobs."""

    def __init__(self, start: Position) -> None:
        self._waiting: deque[tuple[int, Position]] = deque()
        self.durable = start
        self.latest = start

    def reached(self, position: Position, next_sequence: int) -> None:
        """All bytes before `position` are in blobs with numbers below `next_sequence`."""
        self.latest = position
        self._waiting.append((next_sequence, position))

    def advance(self, frontier: int) -> Position:
        """Drop the marks that lie behind the frontier; return the newest of them."""
        while self._waiting and self._waiting[0][0] <= frontier:
            self.durable = self._waiting.popleft()[1]
        return self.durable

    def restart_file(self, position: Position) -> None:
        """The open file is read again from its start: forget the marks inside it."""
        while self._waiting and self._waiting[-1][1].files >= position.files and self._waiting[-1][1].offset:
            self._waiting.pop()
        if self.durable.files >= position.files and self.durable.offset:
            self.durable = position
        self.latest = position
