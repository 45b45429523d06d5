"""The C library's heap: what it keeps of freed memory for later, given back to the system when there is much of it.

glibc gives back by itself only what lies at the end of a heap. After something large was read in many small pieces, a
third of what is resident may be holes.
"""

import ctypes
from collections.abc import Callable
from typing import Final

_MALLOC_TRIM: Final[Callable[[int], int] | None] = getattr(ctypes.CDLL(None), "malloc_trim", None)


def give_back() -> None:
    """Have glibc give back all free pages; does nothing with another C library."""
    if _MALLOC_TRIM is not None:
        _MALLOC_TRIM(0)
