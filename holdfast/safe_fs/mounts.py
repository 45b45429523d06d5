"""On which mount a descriptor is, and where mounts are: tells bind mounts of one file system apart, which device
numbers do not.

Sources: proc_pid_fdinfo(5), `mnt_id` (Linux 3.15); proc_pid_mountinfo(5), field 5, with its octal escapes.
"""

import os
import re
from typing import NamedTuple

_KEY = b"mnt_id:"
_ESCAPE = re.compile(rb"\\([0-7]{3})")


class Mount(NamedTuple):
    """A file system (also a btrfs subvolume) and where it is mounted; the latter 0 where /proc does not say."""

    device: int
    id: int


def mount_of(fd: int) -> Mount:
    """The mount of an open file or directory."""
    device = os.fstat(fd).st_dev
    try:
        with open(f"/proc/self/fdinfo/{fd}", "rb") as info:
            for line in info:
                if line.startswith(_KEY):
                    return Mount(device, int(line.removeprefix(_KEY)))
    except OSError:
        pass
    return Mount(device, 0)


class MountPoints:
    """The directories on which something is mounted at this moment, ready for many questions about names."""

    def __init__(self) -> None:
        self._paths = frozenset(_mount_points())
        self._names = frozenset(path.rpartition(b"/")[2] for path in self._paths)

    def has(self, path: bytes, name: bytes) -> bool:
        """Whether this directory, whose last name is `name`, is one, by whichever links `path` leads there.

        Nearly all directories are told by their names alone.
        """
        return name in self._names and os.path.realpath(path) in self._paths


def _mount_points() -> list[bytes]:
    """Their paths; none where /proc does not say."""
    try:
        with open("/proc/self/mountinfo", "rb") as mounts:
            fields = [line.split(b" ", 5)[4] for line in mounts]
    except OSError:
        return []
    return [_ESCAPE.sub(lambda escape: bytes((int(escape[1], 8),)), path) for path in fields]
