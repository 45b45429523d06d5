"""The walk over a source: a flat stream of events, in the order in which trees list their entries.

Depth first, a directory before its content, siblings ascending by raw bytes. Enter and leave events balance. A walk can
stop after any event and go on in another process from a small cursor, whatever changed meanwhile: the open directories
are opened again, names up to the cursor are skipped, nothing is reported twice.

Regular files, of which there are most, come as runs of neighbours: one event for hundreds of them.

No recursion, and only the innermost directories stay open, so that ten thousand levels are no special case. In memory
is one list of names for each level. The directories above the roots are reported too (a snapshot's tree begins at
"/"), but only the way to the roots is followed in them. So it is with what a filter or a mount point hides inside of
a root, if another root lies there: a root that is named is walked.
"""

import contextlib
import errno
import os
import stat as modes
from collections import Counter
from collections.abc import Iterator
from typing import Final

from holdfast.errors import SourceMissingError
from holdfast.format.coverage import Gap
from holdfast.format.tree import Node
from holdfast.safe_fs.mounts import MountPoints
from holdfast.source.events import (
    EnterDirectory,
    Entry,
    Files,
    LeaveDirectory,
    LeftOut,
    Remark,
    Trouble,
    Unreadable,
    WalkEvent,
)
from holdfast.source.filters import Filter
from holdfast.source.levels import Cursor, Level
from holdfast.source.metadata import IncompleteNodeError, MetadataReader
from holdfast.source.roots import BELOW_FLAGS, SourceRoots
from holdfast.source.spec import SourceSpec
from holdfast.source.trouble import explain
from holdfast.source.ways import Way, chain_of, join, ways

MAX_OPEN_DIRECTORIES: Final = 32
MAX_RUN_FILES: Final = 512
_TWICE: Final = "its directory lists this name twice; stored once"
_EMPTY_ROOT: Final = "nothing in it was stored: it is empty, or all of it is left out"
_OWN_REPOSITORY: Final = "this is the repository, which does not back up itself"
_SOCKET: Final = "sockets are not backed up"
_LINKED_WAY: Final = (
    "a symbolic link inside of another root is on its way; name the place that the link leads to"
)
_LINK: Final = "a symbolic link: the link was stored, and not what it leads to"


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
        self._filter = Filter(spec)
        self._metadata = MetadataReader(with_atime=spec.with_atime)
        self._roots = SourceRoots(spec.roots)
        self._skip = skip
        self._mounts = MountPoints()
        self._way = ways(spec.roots)
        self._start = cursor
        self._levels: list[Level] = []
        self.entries = 0
        """How many entries were given so far, directories not counted."""
        self.allows_empty = spec.allow_empty

    def cursor(self) -> bytes:
        """Where the walk stands after the last event: what a new Walker goes on from."""
        return Cursor.of(self._levels, self.entries)

    def __iter__(self) -> Iterator[WalkEvent]:
        """The events.

        Raises:
            SourceMissingError: no root exists, or all are empty and may not be (at the start of a walk).
        """
        try:
            if self._start is None:
                self._check_roots()
                self._levels.append(Level(b"/", [], 0, inside=self._way.is_root, way=self._way))
                yield from self._open_level(self._levels[0], b"")
            else:
                yield from self._resume(self._start)
            while self._levels:
                yield from self._step()
        finally:
            for level in self._levels:
                level.close()

    def node(self, entry: Entry) -> Node:
        """The node of an entry; a file's has no content yet.

        Raises:
            IncompleteNodeError: attributes of it cannot be read.
            OSError: it cannot be read.
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

    def _step(self) -> Iterator[WalkEvent]:
        """Handle a run of files or one other name of the innermost directory, or leave it."""
        level = self._levels[-1]
        if level.inside and level.names:
            yield from self._files(level)
        if not level.names:
            self._leave(self._levels.pop())
            if self._levels:
                yield LeaveDirectory(level.path, self._troubles_of_root(level))
            return
        name = level.names.pop()
        level.after = name
        path = join(level.path, name)
        way = None if level.way is None else level.way.children.get(name)
        try:
            yield from self._visit(level, name, path, way)
        except OSError as error:
            yield Unreadable(path, explain(error))

    def _files(self, level: Level) -> Iterator[Files | LeftOut]:
        """The files that come next in a directory; what is something else, or fails, is left for `_visit`."""
        pending = level.names
        names: list[bytes] = []
        stats: list[os.stat_result] = []
        has_left_out = False
        nested = {} if level.way is None else level.way.children
        leaves_out = (
            self._filter.has_patterns
            or self._filter.has_size_limit
            or self._spec.one_file_system
            or bool(nested)
        )
        try:
            directory = self._descriptor(level)
            while pending and len(names) < MAX_RUN_FILES:
                name = pending[-1]
                if leaves_out and name in nested:
                    break
                if not leaves_out or not self._filter.excludes(join(level.path, name)):
                    stat = os.stat(name, dir_fd=directory, follow_symlinks=False)
                    if not modes.S_ISREG(stat.st_mode):
                        break
                    if not leaves_out or self._wants(level, stat):
                        names.append(name)
                        stats.append(stat)
                    else:
                        has_left_out = True
                level.after = pending.pop()
        except OSError:
            directory = level.fd
        if names:
            self.entries += len(names)
            yield Files(level.path, directory, names, stats)
        if has_left_out:
            yield from self._left_out(level)

    @staticmethod
    def _left_out(level: Level) -> Iterator[LeftOut]:
        """Tell once that something was left out."""
        if not level.tells_left_out:
            level.tells_left_out = True
            yield LeftOut(Gap.LEFT_OUT)

    def _wants(self, level: Level, stat: os.stat_result) -> bool:
        """Whether an entry is neither too large nor on another device than its directory may be."""
        is_here = not self._spec.one_file_system or stat.st_dev == level.device
        return is_here and not self._filter.excludes_size(stat)

    def _visit(self, level: Level, name: bytes, path: bytes, way: Way | None) -> Iterator[WalkEvent]:
        is_root = way is not None and way.is_root
        if not is_root and ((way is not None and not level.inside) or self._filter.excludes(path)):
            if way is not None:
                yield from self._enter_ancestor(way, name, path)
            return
        directory = self._descriptor(level)
        stat = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if modes.S_ISDIR(stat.st_mode):
            yield from self._enter(level, name, path, stat, way)
            return
        troubles: tuple[Trouble, ...] = () if way is None else tuple(self._roots_behind(way, path))
        if modes.S_ISSOCK(stat.st_mode):
            if is_root:
                yield Unreadable(path, _SOCKET)
        elif is_root or self._wants(level, stat):
            self.entries += 1
            if modes.S_ISREG(stat.st_mode):
                yield Files(level.path, directory, [name], [stat], troubles)
            else:
                if is_root and modes.S_ISLNK(stat.st_mode):
                    troubles = (Remark(path, _LINK, lost=False), *troubles)
                yield Entry(level.path, name, stat, directory, troubles)
        else:
            yield from self._left_out(level)

    @staticmethod
    def _roots_behind(way: Way, path: bytes) -> Iterator[Unreadable]:
        """The roots that cannot be walked, because something on their way is stored and is no directory."""
        return (Unreadable(root, _LINKED_WAY) for root in way.roots(path) if root != path)

    def _enter_ancestor(self, way: Way, name: bytes, path: bytes) -> Iterator[WalkEvent]:
        """A directory that only leads to a root: links on the way are followed, as the system does."""
        stat = os.stat(path)
        if not modes.S_ISDIR(stat.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        try:
            node = self._metadata.directory_node(path, name, stat)
        except IncompleteNodeError as error:
            node = error.node  # it is no part of the source
        troubles = (LeftOut(Gap.LEFT_OUT),) if self._is_in_root() else ()
        self._levels.append(Level(path, way.names(), stat.st_dev, inside=False, way=way))
        yield EnterDirectory(path, name, node, troubles)

    def _is_in_root(self) -> bool:
        """Whether the innermost open directory lies in a root: then what is not walked of it is left out."""
        return any(level.is_root for level in self._levels)

    def _enter(
        self, level: Level, name: bytes, path: bytes, stat: os.stat_result, way: Way | None
    ) -> Iterator[WalkEvent]:
        below = Level(path, [], level.device, inside=True, way=way)
        if (stat.st_dev, stat.st_ino) in self._skip:
            if below.is_root:
                yield Unreadable(path, _OWN_REPOSITORY)
            yield from self._left_out(level)
            return
        troubles: tuple[Trouble, ...] = ()
        try:
            node = self._metadata.entry_node(self._descriptor(level), name, stat)
        except IncompleteNodeError as error:
            node = error.node
            troubles = (Remark(path, error.message, lost=True),)
        if (stat.st_dev != level.device or self._mounts.has(path, name)) and self._is_in_root():
            troubles += (LeftOut(Gap.MOUNT),)
        if below.is_root:
            below.device = stat.st_dev
            below.entries_before = self.entries
        if self._spec.one_file_system and stat.st_dev != below.device:
            below.inside = False
            below.names = [] if way is None else way.names()
        else:
            troubles += self._open_level(below, b"")
        self._levels.append(below)
        yield EnterDirectory(path, name, node, troubles)

    def _open_level(self, level: Level, after: bytes) -> tuple[Trouble, ...]:
        """Make a directory ready to be walked from the name after `after`; what cannot be read of it, and why.

        Of one that cannot be read at all, what leads to roots is left.
        """
        leads = [] if level.way is None else level.way.names()
        if not level.inside:
            level.skip_to(leads, after)
            return ()
        try:
            descriptor = self._descriptor(level)
            stat = os.fstat(descriptor)
            level.device, level.identity = stat.st_dev, (stat.st_dev, stat.st_ino)
            # Asked by a path in bytes, the names come in bytes: thousands of conversions less.
            listed = os.listdir(b"/proc/self/fd/%d" % descriptor)
            names = set(listed)
            marks = self._filter.marks(descriptor, names)
        except OSError as error:
            level.close()
            level.inside, level.entries_before = False, -1  # so it is not told as well that it gave nothing
            level.skip_to(leads, after)
            return (Unreadable(level.path, explain(error)),)
        troubles: tuple[Trouble, ...] = ()
        if len(names) < len(listed):
            twice = sorted(name for name, count in Counter(listed).items() if count > 1 and name > after)
            troubles = tuple(Remark(join(level.path, name), _TWICE, lost=True) for name in twice)
        if marks:
            troubles += (LeftOut(Gap.LEFT_OUT),)
            level.inside = False
            names = {*marks, *leads}
        elif leads:
            names.update(leads)
        level.skip_to(sorted(names, reverse=True), after)
        return troubles

    def _troubles_of_root(self, level: Level) -> tuple[Trouble, ...]:
        """What is to be said of a root as a whole: that it gave nothing."""
        if level.entries_before != self.entries or self._spec.allow_empty:
            return ()
        return (Unreadable(level.path, _EMPTY_ROOT),)

    def _resume(self, cursor: bytes) -> Iterator[WalkEvent]:
        """Open the directories that were open, and forget of each what was seen."""
        place = Cursor.parse(cursor)
        self.entries = place.entries
        chain = chain_of(place.directory)
        found: list[Trouble] = []
        above: Level | None = None
        for depth, path in enumerate(chain):
            innermost = depth == len(chain) - 1
            after = place.after if innermost else chain[depth + 1].rpartition(b"/")[2]
            level = Level(path, [], 0, inside=True, way=self._way.lookup(path))
            if not level.is_root:
                level.inside = above is not None and above.inside and not self._filter.excludes(path)
            device = 0 if above is None else above.device
            troubles = self._open_level(level, after)
            if not level.is_root and level.inside and self._spec.one_file_system and level.device != device:
                level.close()
                level.inside, level.device = False, device
                troubles = self._open_level(level, after)
            elif not level.inside:
                with contextlib.suppress(OSError):  # then nothing below it can be reached either
                    level.device = os.stat(path).st_dev
            if innermost and place.done:
                level.names = []
            else:
                # Deeper levels are gone with this one, but their leave events must come.
                found += troubles
            self._levels.append(level)
            above = level
        roots = [level for level in self._levels if level.is_root]
        for level in roots[len(roots) - place.empty_roots :]:
            level.entries_before = self.entries
        yield from found

    def _descriptor(self, level: Level) -> int:
        """The level's open directory; opened again where it was closed to save descriptors."""
        if level.fd < 0:
            level.fd = self._open(level)
            distant = len(self._levels) - MAX_OPEN_DIRECTORIES
            if distant >= 0:
                self._levels[distant].close()
        return level.fd

    def _open(self, level: Level) -> int:
        """By its name in the directory above where that is open: a full path costs the more the deeper it leads."""
        last = len(self._levels) - 1
        if last >= 0 and self._levels[last] is level:
            last -= 1
        above = self._levels[last] if last >= 0 else None
        if above is None or above.fd < 0 or not above.inside:
            return self._roots.open_directory(level.path)
        return os.open(level.path.rpartition(b"/")[2], BELOW_FLAGS, dir_fd=above.fd)

    def _leave(self, left: Level) -> None:
        """Close a directory; from it, open again the one above if that was closed, and still is the same."""
        above = self._levels[-1] if self._levels else None
        if above is not None and above.inside and above.fd < 0 <= left.fd:
            try:
                above.fd = os.open(b"..", BELOW_FLAGS, dir_fd=left.fd)
                stat = os.fstat(above.fd)
                if (stat.st_dev, stat.st_ino) != above.identity:
                    above.close()
            except OSError:
                above.close()
        left.close()


def _is_empty_directory(path: bytes) -> bool:
    try:
        with os.scandir(path) as entries:
            return next(entries, None) is None and not os.path.islink(path)
    except OSError:
        return False  # no directory, or one whose error the walk tells
