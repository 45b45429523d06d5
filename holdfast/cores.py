"""The processor's cores that this process may use."""

import os


def usable_cores() -> int:
    """How many there are."""
    return len(os.sched_getaffinity(0))
