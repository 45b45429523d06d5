"""What somebody who is not root can have of an entry that belongs to another user."""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from holdfast.restore.verify import _attainable
from holdfast.safe_fs.attributes import Attributes

ANYBODY = 65_534


@contextlib.contextmanager
def not_root() -> Iterator[None]:
    """As a user who cannot give files away."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(ANYBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_the_owner_and_his_bits_are_not_missed_by_others_than_root(tmp_path: Path) -> None:
    status = tmp_path.stat()
    foreign = Attributes(
        mode=stat.S_ISUID | 0o755, uid=status.st_uid + 1, gid=status.st_gid, mtime_ns=1, atime_ns=1
    )
    with not_root():
        found = _attainable(foreign, status)
    assert (found.uid, found.gid, found.mode, found.mtime_ns) == (status.st_uid, status.st_gid, 0o755, 1)
