"""Tells what of a source's tree asks for a backup when it changes: what a backup would store, and nothing of our own.

A run writes its repository, its state and its log. If one of these lies inside of the source, each run would ask for
the next.
"""

import contextlib
import os
import stat as modes
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from holdfast.errors import HoldfastError
from holdfast.ids import is_hex_id
from holdfast.service.settings.exclude_files import resolve
from holdfast.service.settings.model import Settings, SourceProfile
from holdfast.source.filters import Filter
from holdfast.storage.locations import open_storage

_SQLITE: Final = "sqlite:///"
_BESIDE_SQLITE: Final = (b"", b"-wal", b"-shm", b"-journal")
_OPEN: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Scope:
    """What counts of one source, as its settings say it, and its exclude files said when this was made."""

    def __init__(self, settings: Settings, source: SourceProfile, environ: Mapping[str, str]) -> None:
        """Read the exclude files.

        Raises:
            SettingsError: one cannot be read, or used.
        """
        spec = resolve(source, environ).spec
        self._filter = Filter(spec)
        self._roots = frozenset(spec.roots)
        self._one_file_system = spec.one_file_system
        repository = settings.repositories.get(source.repository)
        self._companion = _directory_of("" if repository is None else repository.companion)
        own = _directory_of("" if repository is None else repository.location)
        self._hidden = frozenset(filter(None, (own, *_own_paths(settings, self._companion))))
        self._hidden_ids = frozenset(_identities(self._hidden))
        self._marked: dict[bytes, frozenset[bytes]] = {}
        self._devices: dict[bytes, int | None] = {}

    def look_again(self) -> None:
        """Forget what was seen of directories: what follows is of another moment."""
        self._marked.clear()
        self._devices.clear()

    def watches(self, directory: bytes, status: os.stat_result) -> bool:
        """Whether to watch below a directory whose parent is watched. A marked one is, itself: it may lose its mark."""
        parent = os.path.dirname(directory)
        if self._is_own(directory, status) or self._filter.excludes(directory):
            return False
        marks = self._marks(parent)
        return not marks and not (self._one_file_system and status.st_dev != self._device(parent))

    def counts(self, path: bytes, status: os.stat_result | None) -> bool:
        """Whether a change of this path is one of the source. status: None where it is gone."""
        if self._is_own(path, status):
            return False
        if status is not None and (self._filter.excludes_size(status) or modes.S_ISSOCK(status.st_mode)):
            return False
        child = path
        while child not in self._roots:
            parent, name = os.path.split(child)
            marks = self._marks(parent)
            if parent == child or self._filter.excludes(child) or (marks and name not in marks):
                return False
            child = parent
        return (
            not self._one_file_system
            or path == child
            or self._device(os.path.dirname(path))
            in {
                self._device(child),
                None,
            }
        )

    def is_marker(self, path: bytes) -> bool:
        """Whether a directory may just have been marked, or have lost its mark."""
        return os.path.basename(path) in self._filter.marker_names

    def _is_own(self, path: bytes, status: os.stat_result | None) -> bool:
        if status is not None and (status.st_dev, status.st_ino) in self._hidden_ids:
            return True
        return any(
            above in self._hidden or (os.path.dirname(above) == self._companion and _is_repositorys(above))
            for above in _upwards(path)
        )

    def _marks(self, directory: bytes) -> frozenset[bytes]:
        if not self._filter.marker_names:
            return frozenset()
        known = self._marked.get(directory)
        if known is None:
            known = self._marked[directory] = self._look_for_marks(directory)
        return known

    def _look_for_marks(self, directory: bytes) -> frozenset[bytes]:
        try:
            fd = os.open(directory, _OPEN)
        except OSError:
            return frozenset()
        try:
            return self._filter.marks(fd, self._filter.marker_names)
        finally:
            os.close(fd)

    def _device(self, directory: bytes) -> int | None:
        if directory not in self._devices:
            try:
                self._devices[directory] = os.lstat(directory).st_dev
            except OSError:
                self._devices[directory] = None
        return self._devices[directory]


def exclude_files_state(source: SourceProfile) -> tuple[tuple[int, int], ...]:
    """What tells whether an exclude file was edited."""
    found = []
    for path in (*source.exclude_files, *source.iexclude_files):
        try:
            status = path.stat()
        except OSError:
            found.append((0, 0))
        else:
            found.append((status.st_mtime_ns, status.st_size))
    return tuple(found)


def _own_paths(settings: Settings, companion: bytes) -> Iterator[bytes]:
    yield bytes(settings.state_dir)
    if settings.cache.directory is not None:
        yield bytes(settings.cache.directory)
    if settings.log.file is not None:
        yield bytes(settings.log.file)
    url = settings.journal.url
    if url is not None and url.startswith(_SQLITE):
        for suffix in _BESIDE_SQLITE:
            yield os.fsencode(url.removeprefix(_SQLITE)) + suffix
    with contextlib.suppress(OSError):
        yield from filter(_is_repositorys, (entry.path for entry in os.scandir(companion)))


def _directory_of(place: str) -> bytes:
    """The directory of this host that a location names; empty where it names none."""
    try:
        directory = open_storage(place).traits.directory if place else None
    except HoldfastError:
        directory = None
    return b"" if directory is None else bytes(directory)


def _is_repositorys(path: bytes) -> bool:
    """Whether a folder of a companion's place is a repository's (holdfast/repository/companion.py)."""
    return is_hex_id(os.fsdecode(os.path.basename(path)))


def _identities(paths: frozenset[bytes]) -> Iterator[tuple[int, int]]:
    """Device and inode of what is there, by whatever path it is reached; and of files that our own words go to."""
    for path in paths:
        try:
            status = Path(os.fsdecode(path)).stat()
        except OSError:
            continue
        yield status.st_dev, status.st_ino
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is None:
            continue
        try:
            status = os.fstat(stream.fileno())
        except (OSError, ValueError):
            continue
        if modes.S_ISREG(status.st_mode):
            yield status.st_dev, status.st_ino


def _upwards(path: bytes) -> Iterator[bytes]:
    """A path and all above it but the root."""
    while len(path) > 1:
        yield path
        path = os.path.dirname(path)
