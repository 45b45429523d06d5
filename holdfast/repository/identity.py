"""Who this process is, as key files and locks record it. The environment is not asked."""

import os
import pwd
import socket
from functools import lru_cache


@lru_cache(maxsize=1)
def this_host() -> str:
    """The host's name, as restic sees it too (uname's node name)."""
    return socket.gethostname()


@lru_cache(maxsize=1)
def this_user() -> str:
    """The user's name, or the number where the system knows no name."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def process_exists(pid: int) -> bool:
    """Whether a process of this number runs on this host; one that we may not signal does."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
