"""Shards are taken from both ends of the plan: one from its beginning, one from its end, by turns.

Neighbours in a tree resemble each other. Taken in a row, shards that do not shrink all wait for the disk, and those
that do all compute; taken from both ends, some of them compute while others wait. The plan may still grow.
"""

from collections.abc import Sequence

Ranges = tuple[tuple[int, int], ...]
"""Numbers of shards that wait, ascending: from the first of each pair to before the second."""


def with_page(waiting: Ranges, first: int, count: int) -> Ranges:
    """Add these shards, which come behind all that were planned before."""
    if not count:
        return waiting
    if waiting and waiting[-1][1] == first:
        return (*waiting[:-1], (waiting[-1][0], first + count))
    return (*waiting, (first, first + count))


def take(waiting: Ranges, taken: int) -> tuple[int, Ranges] | None:
    """The next shard, when so many were taken before it, and what waits then; None where nothing waits."""
    if not waiting:
        return None
    if taken % 2:
        *others, (first, end) = waiting
        return end - 1, (*others, *_left(first, end - 1))
    (first, end), *behind = waiting
    return first, (*_left(first + 1, end), *behind)


def _left(first: int, end: int) -> Sequence[tuple[int, int]]:
    return [(first, end)] if first < end else []
