"""The walk over a source: a flat stream of events, in the order in which trees list their entries.

Depth first, a directory before its content, siblings ascending by raw bytes. Enter and leave events balance. A walk can
stop after any event and go on in another process from a small cursor, whatever changed meanwhile: the open directories
are opened again, names up to the cursor are skipped, nothing is reported twice.

Regular files, of which there are most, come as runs of neighbours: one event for hundreds of them.

No recursion, and only the innermost directories stay open, so that ten thousand levels are no special case. In memory
is one list of names for each level. The directories above the roots are reported too (a snapshot's tree begins at
"/"), but only the way to the roots is followed in them.
"""

import os
import stat as modes
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from holdfast.errors import CorruptFileError, SourceMissingError
from holdfast.format.tree import Node
from holdfast.source.filters import Filter
from holdfast.source.metadata import MetadataReader
from holdfast.source.roots import BELOW_FLAGS, SourceRoots
from holdfast.source.spec import SourceSpec
from holdfast.source.trouble import explain
from holdfast.source.ways import Way, chain_of, join, ways

MAX_OPEN_DIRECTORIES: Final = 32
MAX_RUN_FILES: Final = 512


@dataclass(frozen=True, slots=True)
class EnterDirectory:
    """A directory begins. node: its metadata, without a subtree."""

    path: bytes
    name: bytes
    node: Node


@dataclass(frozen=True, slots=True)
class LeaveDirectory:
    """The innermost open directory ends."""

    path: bytes


@dataclass(frozen=True, slots=True)
class Files:
    """Regular files that follow each other in one directory, at most MAX_RUN_FILES, each name with its status.

    directory_fd: the open directory, valid until the walk goes on.
    """

    directory: bytes
    directory_fd: int
    names: list[bytes]
    stats: list[os.stat_result]


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry that is no directory. directory_fd: its open directory, valid until the walk goes on."""

    directory: bytes
    name: bytes
    stat: os.stat_result
    directory_fd: int

    @property
    def path(self) -> bytes:
        return join(self.directory, self.name)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something that could not be read, and why, in the system's words."""

    path: bytes
    message: str


WalkEvent = EnterDirectory | LeaveDirectory | Files | Entry | Unreadable


class _Cursor(msgspec.Struct, frozen=True, array_like=True):
    """directory: the innermost open one. after: the last name seen in it, empty for none. done: nothing left in it."""

    directory: bytes
    after: bytes
    done: bool


@dataclass(slots=True)
class _Level:
    """One open directory of the walk.

    names: what is still to come, the next one last. inside: at or below a root. identity: device and inode.
    """

    path: bytes
    names: list[bytes]
    device: int
    inside: bool
    identity: tuple[int, int] = (0, 0)
    fd: int = -1
    after: bytes = b""


class Walker:
    """Walks a source once. Iterate over it, at most once; `cursor` may be asked for after any event.

    skip: (device, inode) of directories that are passed over, such as the repository itself.
    """

    def __init__(
        self,
        spec: SourceSpec,
        *,
        cursor: bytes | None = None,
        skip: frozenset[tuple[int, int]] = frozenset(),
    ) -> None:
        self._spec = spec
        self._filter = Filter(spec.filters)
        self._metadata = MetadataReader(with_atime=spec.with_atime)
        self._roots = SourceRoots(spec.roots)
        self._skip = skip
        self._way = ways(spec.roots)
        self._start = cursor
        self._levels: list[_Level] = []

    def cursor(self) -> bytes:
        """Where the walk stands after the last event: what a new Walker goes on from."""
        level = self._levels[-1]
        return msgspec.msgpack.encode(_Cursor(level.path, level.after, not level.names))

    def __iter__(self) -> Iterator[WalkEvent]:
        """The events.

        Raises:
            SourceMissingError: no root exists, or all are empty and may not be (at the start of a walk).
        """
        try:
            if self._start is None:
                self._check_roots()
                yield from self._begin()
            else:
                yield from self._resume(self._start)
            while self._levels:
                yield from self._step()
        finally:
            for level in self._levels:
                _close(level)

    def node(self, entry: Entry) -> Node:
        """The node of an entry; a file's has no content yet.

        Raises:
            OSError: its metadata cannot be read.
        """
        return self._metadata.entry_node(entry.directory_fd, entry.name, entry.stat)

    def _check_roots(self) -> None:
        existing = [root for root in self._spec.roots if os.path.lexists(root)]
        first = os.fsdecode(self._spec.roots[0]) if self._spec.roots else ""
        if not existing:
            raise SourceMissingError(
                f"nothing to back up: {first} does not exist", hint="Check the path, and that it is mounted."
            )
        if not self._spec.allow_empty and all(map(_is_empty_directory, existing)):
            raise SourceMissingError(
                f"nothing to back up: {first} is empty",
                hint="Check that it is mounted; if it may be empty, set allow_empty (or give --allow-empty).",
            )

    def _begin(self) -> Iterator[WalkEvent]:
        level, problem = self._open_level(b"/", self._way, after=b"")
        self._levels.append(level)
        if problem is not None:
            yield problem

    def _step(self) -> Iterator[WalkEvent]:
        """Handle a run of files or one other name of the innermost directory, or leave it."""
        level = self._levels[-1]
        if level.inside and level.names:
            yield from self._files(level)
        if not level.names:
            self._leave(self._levels.pop())
            if self._levels:
                yield LeaveDirectory(level.path)
            return
        name = level.names.pop()
        level.after = name
        path = join(level.path, name)
        way = None if level.inside else self._way.lookup(path)
        if way is None and self._filter.excludes(path):
            return
        try:
            yield from self._visit(level, name, path, way)
        except OSError as error:
            yield Unreadable(path, explain(error))

    def _files(self, level: _Level) -> Iterator[Files]:
        """The files that come next in a directory; what is something else, or fails, is left for `_visit`."""
        pending = level.names
        names: list[bytes] = []
        stats: list[os.stat_result] = []
        leaves_out = self._filter.has_patterns or self._filter.has_size_limit or self._spec.one_file_system
        try:
            directory = self._descriptor(level)
            while pending and len(names) < MAX_RUN_FILES:
                name = pending[-1]
                if not leaves_out or not self._filter.excludes(join(level.path, name)):
                    stat = os.stat(name, dir_fd=directory, follow_symlinks=False)
                    if not modes.S_ISREG(stat.st_mode):
                        break
                    if not leaves_out or self._wants(level, stat):
                        names.append(name)
                        stats.append(stat)
                level.after = pending.pop()
        except OSError:
            directory = level.fd
        if names:
            yield Files(level.path, directory, names, stats)

    def _wants(self, level: _Level, stat: os.stat_result) -> bool:
        """Whether a file is neither too large nor on another device than its directory may be."""
        is_here = not self._spec.one_file_system or stat.st_dev == level.device
        return is_here and not self._filter.excludes_size(stat)

    def _visit(self, level: _Level, name: bytes, path: bytes, way: Way | None) -> Iterator[WalkEvent]:
        if way is not None and not way.is_root:
            yield from self._enter_ancestor(way, name, path)
            return
        directory = self._descriptor(level)
        stat = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if modes.S_ISDIR(stat.st_mode):
            yield from self._enter(level, name, path, stat, way)
        elif not modes.S_ISSOCK(stat.st_mode) and not self._filter.excludes_size(stat):
            if self._spec.one_file_system and way is None and stat.st_dev != level.device:
                return
            if modes.S_ISREG(stat.st_mode):
                yield Files(level.path, directory, [name], [stat])
            else:
                yield Entry(level.path, name, stat, directory)

    def _enter_ancestor(self, way: Way, name: bytes, path: bytes) -> Iterator[WalkEvent]:
        """A directory above a root: links on the way to a root are followed, as the system does."""
        stat = os.stat(path)
        node = self._metadata.directory_node(path, name, stat)
        self._levels.append(_Level(path, way.names(), stat.st_dev, inside=False))
        yield EnterDirectory(path, name, node)

    def _enter(
        self, level: _Level, name: bytes, path: bytes, stat: os.stat_result, way: Way | None
    ) -> Iterator[WalkEvent]:
        if (stat.st_dev, stat.st_ino) in self._skip:
            return
        node = self._metadata.entry_node(self._descriptor(level), name, stat)
        is_root = way is not None and way.is_root
        device = stat.st_dev if is_root else level.device
        if self._spec.one_file_system and stat.st_dev != device:
            self._levels.append(_Level(path, [], device, inside=True))
            yield EnterDirectory(path, name, node)
            return
        below, problem = self._open_level(path, way, after=b"")
        self._levels.append(below)
        yield EnterDirectory(path, name, node)
        if problem is not None:
            yield problem

    def _open_level(self, path: bytes, way: Way | None, after: bytes) -> tuple[_Level, Unreadable | None]:
        """A directory ready to be walked from the name after `after`; where it cannot be read, an empty one and why."""
        if way is not None and not way.is_root:
            names = way.names()
            return _Level(path, _remaining(names, after), 0, inside=False, after=after), None
        level = _Level(path, [], 0, inside=True, after=after)
        try:
            descriptor = self._descriptor(level)
            stat = os.fstat(descriptor)
            level.device, level.identity = stat.st_dev, (stat.st_dev, stat.st_ino)
            # Asked by a path in bytes, the names come in bytes: thousands of conversions less.
            listed = os.listdir(b"/proc/self/fd/%d" % descriptor)
            names = self._filter.select_names(descriptor, listed)
        except OSError as error:
            _close(level)
            return level, Unreadable(path, explain(error))
        level.names = _remaining(names, after)
        return level, None

    def _resume(self, cursor: bytes) -> Iterator[WalkEvent]:
        """Open the directories that were open, and forget of each what was seen."""
        try:
            place = msgspec.msgpack.decode(cursor, type=_Cursor)
        except msgspec.MsgspecError as error:
            raise CorruptFileError(f"the walk's cursor cannot be read: {error}") from error
        chain = chain_of(place.directory)
        device = 0
        for depth, path in enumerate(chain):
            innermost = depth == len(chain) - 1
            after = place.after if innermost else chain[depth + 1].rpartition(b"/")[2]
            level, problem = self._open_level(path, self._way.lookup(path), after)
            if self._is_root(path) or not device:
                device = level.device
            level.device = device
            if innermost and place.done:
                level.names = []
            self._levels.append(level)
            if problem is not None:
                # Deeper levels are gone with this one, but their leave events must come.
                yield problem

    def _descriptor(self, level: _Level) -> int:
        """The level's open directory; opened again where it was closed to save descriptors."""
        if level.fd < 0:
            level.fd = self._open(level)
            distant = len(self._levels) - MAX_OPEN_DIRECTORIES
            if distant >= 0:
                _close(self._levels[distant])
        return level.fd

    def _open(self, level: _Level) -> int:
        """By its name in the directory above where that is open: a full path costs the more the deeper it leads."""
        last = len(self._levels) - 1
        if last >= 0 and self._levels[last] is level:
            last -= 1
        above = self._levels[last] if last >= 0 else None
        if above is None or above.fd < 0 or not above.inside:
            return self._roots.open_directory(level.path)
        return os.open(level.path.rpartition(b"/")[2], BELOW_FLAGS, dir_fd=above.fd)

    def _leave(self, left: _Level) -> None:
        """Close a directory; from it, open again the one above if that was closed, and still is the same."""
        above = self._levels[-1] if self._levels else None
        if above is not None and above.inside and above.fd < 0 <= left.fd:
            try:
                above.fd = os.open(b"..", BELOW_FLAGS, dir_fd=left.fd)
                stat = os.fstat(above.fd)
                if (stat.st_dev, stat.st_ino) != above.identity:
                    _close(above)
            except OSError:
                _close(above)
        _close(left)

    def _is_root(self, path: bytes) -> bool:
        way = self._way.lookup(path)
        return way is not None and way.is_root


def _is_empty_directory(path: bytes) -> bool:
    try:
        with os.scandir(path) as entries:
            return next(entries, None) is None
    except OSError:
        return False  # no directory, or one whose error the walk tells


def _remaining(names: list[bytes], after: bytes) -> list[bytes]:
    """The names, descending, that come after `after`."""
    if not after:
        return names
    return [name for name in names if name > after]


def _close(level: _Level) -> None:
    if level.fd >= 0:
        os.close(level.fd)
        level.fd = -1
