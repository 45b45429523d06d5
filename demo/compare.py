"""Compares two trees entry by entry: type, mode, owner, times, link targets, attributes, hard links, every byte."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_BLOCK: Final = 8 << 20


@dataclass(slots=True)
class Comparison:
    """What was compared, and what differs (as text, by path)."""

    entries: int = 0
    bytes_compared: int = 0
    differences: list[str] = field(default_factory=list)
    _links: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)

    def compare(self, left: Path, right: Path) -> None:
        """Compare two trees, `left` being the source."""
        seen: set[bytes] = set()
        for relative in _entries(os.fsencode(left)):
            self._entry(os.fsencode(left) + relative, os.fsencode(right) + relative)
            seen.add(relative)
        for relative in _entries(os.fsencode(right)):
            if relative not in seen:
                self._differs(os.fsencode(right) + relative, "is not in the source")

    def _entry(self, left: bytes, right: bytes) -> None:
        self.entries += 1
        wanted = os.lstat(left)
        try:
            found = os.lstat(right)
        except FileNotFoundError:
            self._differs(left, "is missing")
            return
        for name in _compared(wanted):
            if getattr(wanted, name) != getattr(found, name):
                self._differs(left, f"{name} differs")
        if _attributes(left) != _attributes(right):
            self._differs(left, "extended attributes differ")
        if stat.S_ISLNK(wanted.st_mode) and os.readlink(left) != os.readlink(right):
            self._differs(left, "the link's target differs")
        if stat.S_ISREG(wanted.st_mode):
            self._content(left, right)
        if wanted.st_nlink > 1 and not stat.S_ISDIR(wanted.st_mode):
            twin = self._links.setdefault((wanted.st_dev, wanted.st_ino), (found.st_dev, found.st_ino))
            if twin != (found.st_dev, found.st_ino):
                self._differs(left, "is no longer a hard link to its twin")

    def _content(self, left: bytes, right: bytes) -> None:
        with open(left, "rb", buffering=0) as one, open(right, "rb", buffering=0) as other:
            while block := one.read(_BLOCK):
                self.bytes_compared += len(block)
                if block != other.read(len(block)):
                    self._differs(left, "the content differs")
                    return

    def _differs(self, path: bytes, what: str) -> None:
        self.differences.append(f"{path.decode(errors='backslashreplace')}: {what}")


def _compared(wanted: os.stat_result) -> Iterator[str]:
    yield from ("st_mode", "st_mtime_ns")
    if os.geteuid() == 0:  # others cannot give files away
        yield from ("st_uid", "st_gid")
    if not stat.S_ISDIR(wanted.st_mode):
        yield from ("st_size", "st_rdev")


def _attributes(path: bytes) -> dict[str, bytes]:
    names = os.listxattr(path, follow_symlinks=False)
    return {name: os.getxattr(path, name, follow_symlinks=False) for name in names}


def _entries(root: bytes) -> Iterator[bytes]:
    """The paths below `root`, relative, each with a leading slash; the root itself is the empty path."""
    yield b""
    pending = [b""]
    while pending:
        directory = pending.pop()
        with os.scandir(root + directory) as listing:
            for entry in listing:
                path = directory + b"/" + entry.name
                yield path
                if entry.is_dir(follow_symlinks=False):
                    pending.append(path)
