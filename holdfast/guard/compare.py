"""Walks a source beside its newest snapshot, and tells what is missing, damaged, or turned into noise.

Both come in the same order, so one frame for each open directory suffices: the snapshot's nodes of it, and which of
their names the walk has seen. A name that was not seen is missing only if it is not on disk either: filters and mount
points hide names from the walk.

Files that were written since the snapshot are taken for work that was done, unless they became noise. Files whose size
and time of modification stand while inode or time of change do not are read and compared; and so is a share of those
that seem unchanged, another one each day, because bits also rot without a trace.
"""

import contextlib
import os
import stat as modes
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from holdfast.errors import IntegrityError, SnapshotNotFoundError, SourceMissingError
from holdfast.format.names import quote_path
from holdfast.format.times import is_time
from holdfast.format.tree import Node
from holdfast.guard.contents import first_piece, first_piece_before, is_equal
from holdfast.guard.findings import Comparison, Finding, FindingKind, Thresholds
from holdfast.guard.noise import became_noise, is_noise
from holdfast.ids import BlobId, from_hex
from holdfast.repository.companion import own_directories
from holdfast.repository.packs.loader import find_node
from holdfast.repository.repository import Repository
from holdfast.repository.session import HeldRepository
from holdfast.repository.snapshots import StoredSnapshot, newest
from holdfast.source.change import is_unchanged
from holdfast.source.events import EnterDirectory, Entry, Files, LeaveDirectory, Trouble, Unreadable
from holdfast.source.filters import Filter
from holdfast.source.spec import SourceSpec
from holdfast.source.walk import Walker
from holdfast.source.ways import join
from holdfast.units import NS_PER_S

MAX_SAMPLES: Final = 2_000
_DAY_NS: Final = 86_400 * NS_PER_S
_HASHES: Final = 1 << 32


@dataclass(slots=True)
class _Frame:
    """One open directory: the snapshot's nodes by name, and the names that the source has too."""

    path: bytes
    nodes: dict[bytes, Node]
    seen: set[bytes] = field(default_factory=set)


def newest_snapshot(repository: Repository, spec: SourceSpec, host: str) -> StoredSnapshot:
    """The newest snapshot of a source on a host.

    Raises:
        SnapshotNotFoundError: there is none.
        CorruptFileError: a snapshot cannot be read, and may be the newest.
    """
    wanted = sorted(quote_path(root) for root in spec.roots)
    try:
        return newest(
            repository,
            lambda snapshot: snapshot.hostname == host and sorted(snapshot.paths or ()) == wanted,
        )
    except SnapshotNotFoundError:
        raise SnapshotNotFoundError(
            "there is no snapshot of this source yet", hint="Back it up first; then it can be guarded."
        ) from None


def compare(
    held: HeldRepository,
    spec: SourceSpec,
    tree: BlobId,
    thresholds: Thresholds,
    check: Callable[[], None],
) -> Comparison:
    """The source beside the snapshot's tree. check: called now and then; what it raises ends the comparison.

    Raises:
        IntegrityError: a tree of the snapshot cannot be read.
    """
    comparer = _Comparer(held, spec, thresholds, check)
    comparer.look_for_roots(tree)
    with contextlib.suppress(SourceMissingError):  # every root is gone, and was counted
        comparer.walk(tree)
    return comparer.found


class _Comparer:
    def __init__(
        self, held: HeldRepository, spec: SourceSpec, thresholds: Thresholds, check: Callable[[], None]
    ) -> None:
        self.found = Comparison()
        self._held = held
        self._spec = spec
        self._filter = Filter(spec)
        self._thresholds = thresholds
        self._check = check
        self._emptied: set[bytes] = set()
        self._day = time.time_ns() // _DAY_NS

    def look_for_roots(self, tree: BlobId) -> None:
        """Count what is missing with roots that are gone, or stand there empty."""
        for root in self._spec.roots:
            node = find_node(self._held.loader.load_tree, tree, root)
            gone = not os.path.lexists(root)
            if not gone and (self._spec.allow_empty or not _is_empty(root)):
                continue
            # Also where the snapshot has nothing of it: that is what a backup without it has left.
            self.found.root_gone = True
            if node is not None and gone:
                self._miss(root, node)
            elif node is not None:
                for name, child in self._nodes(node).items():
                    self._miss(join(root, name), child)
                self._emptied.add(root)

    def walk(self, tree: BlobId) -> None:
        frames = [_Frame(b"/", _by_name(self._held.loader.load_tree(tree)))]
        for event in Walker(self._spec, skip=own_directories(self._held.repository)):
            self._check()
            match event:
                case EnterDirectory(path=path, name=name):
                    frames[-1].seen.add(name)
                    node = frames[-1].nodes.get(name)
                    frames.append(_Frame(path, {} if node is None else self._nodes(node)))
                    self._unreadable(event.troubles)
                case LeaveDirectory():
                    self._leave(frames.pop())
                case Files():
                    self._files(frames[-1], event)
                case Entry(name=name):
                    frames[-1].seen.add(name)
                case Unreadable(path=path):
                    self.found.unreadable += 1
                    frames[-1].seen.add(path.rpartition(b"/")[2])

    def _unreadable(self, troubles: Sequence[Trouble]) -> None:
        self.found.unreadable += sum(isinstance(trouble, Unreadable) for trouble in troubles)

    def _files(self, frame: _Frame, run: Files) -> None:
        for name, stat in zip(run.names, run.stats, strict=True):
            frame.seen.add(name)
            node = frame.nodes.get(name)
            if node is None:
                self._new(run.directory_fd, name)
            elif node.is_file:
                self.found.files += 1
                try:
                    self._file(frame, run.directory_fd, name, stat, node)
                except OSError:
                    self.found.unreadable += 1

    def _file(self, frame: _Frame, directory_fd: int, name: bytes, stat: os.stat_result, node: Node) -> None:
        path = join(frame.path, name)
        if stat.st_size != node.size or not is_time(stat.st_mtime_ns, node.mtime):
            self.found.changed += 1
            if self._became_noise(directory_fd, name, node):
                self.found.add(Finding(path=path, kind=FindingKind.NOISE, size_bytes=stat.st_size))
            return
        if is_unchanged(stat, node, self._spec) and not self._is_its_day(path):
            return
        self.found.files_read += 1
        self.found.bytes_read += stat.st_size
        if is_equal(self._held, node, directory_fd, name) is False:
            self.found.add(Finding(path=path, kind=FindingKind.DAMAGED, size_bytes=stat.st_size))

    def _is_its_day(self, path: bytes) -> bool:
        """Whether an unchanged file is among those that are read today; a turn comes each 1 / share days."""
        share = self._thresholds.read_share
        place = zlib.crc32(path) / _HASHES
        return share > 0 and (place - self._day * share) % 1.0 < share

    def _new(self, directory_fd: int, name: bytes) -> None:
        self.found.new += 1
        if self.found.new > MAX_SAMPLES:
            return
        try:
            self.found.noise_new += is_noise(first_piece(directory_fd, name))
        except OSError:
            self.found.unreadable += 1

    def _became_noise(self, directory_fd: int, name: bytes, node: Node) -> bool:
        if self.found.samples >= MAX_SAMPLES:
            return False
        self.found.samples += 1
        now = first_piece(directory_fd, name)
        if not is_noise(now):
            return False
        try:
            return became_noise(first_piece_before(self._held, node), now)
        except IntegrityError:
            return False

    def _leave(self, frame: _Frame) -> None:
        """Count what the snapshot has in this directory and the source does not."""
        if not self._is_inside(frame.path) or frame.path in self._emptied:
            return
        for name, node in frame.nodes.items():
            path = join(frame.path, name)
            if name not in frame.seen and not self._filter.excludes(path) and not os.path.lexists(path):
                self._miss(path, node)

    def _miss(self, path: bytes, node: Node) -> None:
        files, size_bytes = self._count(node)
        finding = Finding(path=path, kind=FindingKind.MISSING, files=files, size_bytes=size_bytes)
        self.found.add(finding)

    def _count(self, node: Node) -> tuple[int, int]:
        """Entries that are no directories, at and below a node (an empty directory counts as one), and their bytes."""
        files = size_bytes = 0
        waiting: list[Node] = [node]
        while waiting:
            self._check()
            current = waiting.pop()
            if current.subtree is None:
                files += 1
                size_bytes += current.size
            else:
                waiting += self._held.loader.load_tree(BlobId(from_hex(current.subtree)))
        return max(files, 1), size_bytes

    def _is_inside(self, path: bytes) -> bool:
        return any(path == root or path.startswith(join(root, b"")) for root in self._spec.roots)

    def _nodes(self, node: Node) -> dict[bytes, Node]:
        if node.subtree is None:
            return {}
        return _by_name(self._held.loader.load_tree(BlobId(from_hex(node.subtree))))


def _by_name(nodes: Sequence[Node]) -> dict[bytes, Node]:
    return {node.name: node for node in nodes}


def _is_empty(path: bytes) -> bool:
    try:
        with os.scandir(path) as entries:
            return modes.S_ISDIR(os.lstat(path).st_mode) and next(entries, None) is None
    except OSError:
        return False
