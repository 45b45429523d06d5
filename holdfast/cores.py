"""The processor's cores: how many there are for this process, and whether one of them has nothing to do."""

import os
from typing import Final

_LOADAVG: Final = "/proc/loadavg"
_RUNNABLE: Final = 3
"""The field that says "runnable/all" of the host's threads at this moment; who asks is one of the runnable."""


def usable_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))


def has_idle_core() -> bool:
    """Whether fewer threads want to run than there are cores: a hint, and False where the system does not say."""
    try:
        with open(_LOADAVG, "rb", buffering=0) as file:
            runnable = int(file.read().split()[_RUNNABLE].partition(b"/")[0])
    except (OSError, ValueError, IndexError):
        return False
    return runnable < usable_cores()
