"""Sorts what the operating system refuses while a source is read: one path's misfortune, or this process's own trouble.

A process that has run out of descriptors finds every path unreadable. Were that recorded with the paths, it would make
a snapshot of almost nothing, marked partial.
"""

import errno
import os
from typing import Final

from holdfast.errors import TemporaryError

_OUR_OWN: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})


def explain(error: OSError) -> str:
    """What to record about the path that met `error`, in the system's words.

    Raises:
        TemporaryError: this process lacks descriptors or memory, which says nothing about the path.
    """
    if error.errno in _OUR_OWN:
        raise TemporaryError(
            f"this worker is out of resources: {os.strerror(error.errno or 0)}",
            hint="Raise its limits (ulimit -n), or give the machine more memory.",
        ) from error
    return os.strerror(error.errno) if error.errno else str(error)
