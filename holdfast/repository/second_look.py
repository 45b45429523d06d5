"""A second look: what came damaged from a place at a distance is read once more before it is called damaged.

Bytes change on their way, and what comes then cannot be told from what lies damaged in the store. A local disk gives
the same bytes again, so there is no second look.
"""

from collections.abc import Callable
from typing import TypeVar

from holdfast.errors import CorruptFileError
from holdfast.storage.contract import Storage

ResultT = TypeVar("ResultT")


def worth_a_second_look(storage: Storage) -> bool:
    """Whether what comes from there may have changed on its way."""
    return storage.traits.latency_s > 0


def looked_at_twice(storage: Storage, read: Callable[[], ResultT]) -> ResultT:
    """Read something and see whether it is sound; once more if it is not.

    Raises:
        CorruptFileError: as `read` raises it, again.
    """
    try:
        return read()
    except CorruptFileError:
        if not worth_a_second_look(storage):
            raise
    return read()
