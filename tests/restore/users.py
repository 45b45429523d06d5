"""Work as an ordinary user, where the tests run as root: what is closed to others is closed to it."""

import codecs
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65_534


@contextmanager
def ordinary_user() -> Iterator[None]:
    """The effective user and group of nobody while the block lasts."""
    codecs.lookup("ascii")  # it loads when it is asked for first, and Python itself may be closed to nobody
    if os.geteuid() != 0:
        yield
        return
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


@contextmanager
def as_root() -> Iterator[None]:
    """Inside `ordinary_user`: root again while the block lasts."""
    os.seteuid(0)
    try:
        yield
    finally:
        os.seteuid(NOBODY)


@contextmanager
def folder_of_nobody() -> Iterator[Path]:
    """A folder that the ordinary user may use; those of pytest are below one that is closed to it."""
    folder = Path(tempfile.mkdtemp(prefix="holdfast-"))
    give(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def give(path: Path) -> None:
    """Make the ordinary user the owner of a path."""
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
