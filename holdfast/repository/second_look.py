"""A second look: what came damaged from a place at a distance is read again before it is called damaged.

Bytes change on their way, and what comes then cannot be told from what lies damaged in the store. A local disk gives
the same bytes again, so there is no second look.
"""

import contextlib
from collections.abc import Callable
from typing import Final, TypeVar

from holdfast.errors import CorruptFileError
from holdfast.storage.contract import Storage

LOOKS: Final = 3
ResultT = TypeVar("ResultT")


def worth_a_second_look(storage: Storage) -> bool:
    """Whether what comes from there may have changed on its way."""
    return storage.traits.latency_s > 0


def looked_at_again(storage: Storage, read: Callable[[], ResultT], looks: int = LOOKS) -> ResultT:
    """Read something and see whether it is sound; again if it is not. looks: how often at most, this one counted.

    Raises:
        CorruptFileError: as `read` raises it the last time.
    """
    for _ in range(looks - 1 if worth_a_second_look(storage) else 0):
        with contextlib.suppress(CorruptFileError):
            return read()
    return read()
