"""Where contenders work: each has one path for its repository, behind which a fresh copy is put for each run.

A home holds a repository and what belongs to it (a cache). The path stays the same, so that settings and caches that
remember it hold; it is a symbolic link to the home of the run. Copies share large files of the repository by hard
links: no program here changes a stored file of that size in place, as some do with what they cache.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SHARED_FROM_BYTES: Final = 1 << 20
_REPOSITORY: Final = "repository"
_CACHE: Final = "cache"


@dataclass(slots=True)
class Homes:
    """The homes of one contender, below its folder."""

    folder: Path
    _number: int = 0

    @property
    def link(self) -> Path:
        """The path that stays."""
        return self.folder / "home"

    @property
    def repository(self) -> Path:
        """The repository of the home that is in use."""
        return self.link / _REPOSITORY

    @property
    def cache(self) -> Path:
        """The cache of the home that is in use."""
        return self.link / _CACHE

    def use(self, home: Path) -> None:
        """Put this home behind the path."""
        beside = self.folder / "home.new"
        beside.unlink(missing_ok=True)
        beside.symlink_to(home)
        os.replace(beside, self.link)

    def new(self) -> Path:
        """A new, empty home."""
        home = self._next()
        (home / _CACHE).mkdir(parents=True)
        return home

    def copy(self, template: Path) -> Path:
        """A fresh copy of a home."""
        home = self._next()
        shutil.copytree(template / _CACHE, home / _CACHE, symlinks=True)
        if (template / _REPOSITORY).exists():
            shutil.copytree(template / _REPOSITORY, home / _REPOSITORY, copy_function=_share_or_copy)
        return home

    def _next(self) -> Path:
        self._number += 1
        return self.folder / "homes" / str(self._number)


def size_of(folder: Path) -> int:
    """The bytes of all files below a folder."""
    return sum(
        os.lstat(os.path.join(below, name)).st_size for below, _, names in os.walk(folder) for name in names
    )


def warm(folder: Path) -> None:
    """Read everything once, so that all runs find it in memory."""
    for below, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(below, name), "rb", buffering=0) as file:
                while file.read(_SHARED_FROM_BYTES):
                    pass


def _share_or_copy(source: str, target: str) -> None:
    if os.path.getsize(source) >= _SHARED_FROM_BYTES:
        os.link(source, target)
    else:
        shutil.copy2(source, target)
