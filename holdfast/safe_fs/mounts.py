"""On which mount a descriptor is: tells bind mounts of one file system apart, which device numbers do not.

Source: proc_pid_fdinfo(5), `mnt_id` (Linux 3.15).
"""

import os
from typing import NamedTuple

_KEY = b"mnt_id:"


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
