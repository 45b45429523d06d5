"""Turns the steps of a snapshot walk into a plan: what must be written, linked, made, left alone, and what cannot.

Compares with the target by metadata only and changes nothing there. Whether a file's bytes differ is found out when
its shard runs; what is decided here is only what the overwrite rule allows.
"""

import hashlib
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from holdfast.errors import HoldfastError
from holdfast.format.modes import BLOCK_DEVICE, CHARACTER_DEVICE, FIFO, SYMLINK
from holdfast.format.tree import Node
from holdfast.ids import BlobId, short
from holdfast.repository.index_map import IndexMap
from holdfast.restore.documents import (
    Enter,
    Failed,
    FilePlan,
    KnownLink,
    Large,
    Leave,
    Link,
    Skipped,
    Special,
)
from holdfast.restore.os_failures import path_failure
from holdfast.restore.plan_writer import SEGMENT_BLOBS, SHARD_BYTES, PlanWriter
from holdfast.restore.request import Overwrite
from holdfast.restore.run import RestoreCounts
from holdfast.restore.target import look, looks_equal, may_overwrite
from holdfast.restore.walk import Began, Broken, Ended, Frame, Item, SnapshotWalk, Step
from holdfast.restore.zeros import is_zero_block
from holdfast.safe_fs.directories import Directories, join

LinkKey = tuple[int, int, bytes]
_SPECIAL_KINDS: Final = frozenset((SYMLINK, BLOCK_DEVICE, CHARACTER_DEVICE, FIFO))


@dataclass(slots=True)
class _Tally:
    files: int = 0
    dirs: int = 0
    others: int = 0
    bytes_total: int = 0
    bytes_to_write: int = 0
    files_skipped: int = 0
    errors: int = 0


class _Content(msgspec.Struct, frozen=True, gc=False):
    """A file's blobs: ids, plaintext lengths, their sum, and what of it will be written."""

    ids: tuple[BlobId, ...]
    lengths: list[int]
    size: int
    cost: int


class Planner:
    """Plans one page. Takes the walk's steps in order."""

    def __init__(
        self,
        walk: SnapshotWalk,
        index: IndexMap,
        target: Directories | None,
        overwrite: Overwrite,
        writer: PlanWriter,
        next_file: int,
    ) -> None:
        self._walk = walk
        self._index = index
        self._target = target
        self._overwrite = overwrite
        self._writer = writer
        self._links: dict[LinkKey, KnownLink] = {}
        self._tally = _Tally()
        self.next_file = next_file
        self.new_links: list[KnownLink] = []
        if walk.frames[0].position == 0 and len(walk.frames) == 1:
            walk.frames[0].on_disk = target is not None
        writer.obstacles.extend(_open_obstacles(walk))

    def know_links(self, links: Iterable[KnownLink]) -> None:
        """Files with several names that earlier pages saw first."""
        for link in links:
            self._links[link.inode, link.device, link.content] = link

    def fail(self, path: bytes, message: str) -> None:
        """Record a path that cannot be restored."""
        self._writer.record(Failed(path, message))
        self._tally.errors += 1

    def take(self, step: Step) -> None:
        """Plan one step."""
        match step:
            case Item():
                self._take_item(step.node)
            case Began():
                if step.selected:
                    self._enter_open_directories()
            case Ended():
                if step.frame.entered:
                    self._writer.record(Leave())
            case Broken():
                self.fail(step.path, step.message)

    def counts(self) -> RestoreCounts:
        """What was planned."""
        tally = self._tally
        return RestoreCounts(
            files=tally.files,
            dirs=tally.dirs,
            others=tally.others,
            bytes_total=tally.bytes_total,
            bytes_to_write=tally.bytes_to_write,
            files_skipped=tally.files_skipped,
            errors=tally.errors,
        )

    def _enter_open_directories(self) -> bool:
        """Record the directories that lead here, from the outermost; False when one of them is impossible."""
        frames = self._walk.frames
        if frames[-1].entered:
            return True
        depth = len(frames)
        while not frames[depth - 1].entered:
            depth -= 1
        return all(self._enter(position) for position in range(depth, len(frames)))

    def _enter(self, position: int) -> bool:
        frame = self._walk.frames[position]
        node = frame.node
        if node is None:
            return True
        path, parent = self._path_of(position), self._walk.path[: frame.parent_path_bytes]
        try:
            present = self._look(self._walk.frames[position - 1], parent, node.name)
        except (OSError, HoldfastError) as error:
            return self._give_up(frame, path, path_failure(error))
        if present is not None and not stat.S_ISDIR(present.st_mode):
            if not may_overwrite(self._overwrite, node, present):
                return self._give_up(frame, path, "what is in the way of this directory may not be replaced")
            frame.obstacle = True
            self._writer.obstacles.append(path)
        frame.on_disk = present is not None and not frame.obstacle
        frame.entered = True
        self._tally.dirs += 1
        self._writer.record(Enter(node, frame.obstacle))
        return True

    def _give_up(self, frame: Frame, path: bytes, message: str) -> bool:
        self.fail(path, message)
        self._walk.abandon(frame)
        return False

    def _path_of(self, position: int) -> bytes:
        inner = self._walk.frames[position + 1 : position + 2]
        return self._walk.path[: inner[0].parent_path_bytes] if inner else self._walk.path

    def _look(self, frame: Frame, directory: bytes, name: bytes) -> os.stat_result | None:
        if self._target is None or not frame.on_disk:
            return None
        return look(self._target, directory, name)

    def _take_item(self, node: Node) -> None:
        if not self._enter_open_directories():
            return
        frame, directory = self._walk.frames[-1], self._walk.path
        present = None
        if frame.on_disk:
            try:
                present = self._look(frame, directory, node.name)
            except (OSError, HoldfastError) as error:
                self.fail(join(directory, node.name), path_failure(error))
                return
        skipped = present is not None and not may_overwrite(self._overwrite, node, present)
        if node.is_file:
            self._tally.files += 1
            self._tally.bytes_total += node.size
        else:
            self._tally.others += 1
        if skipped:
            self._tally.files_skipped += 1
            self._writer.record(Skipped(node.name, node.size if node.is_file else 0))
        elif node.is_file:
            self._plan_file(node, directory, present)
        elif node.kind in _SPECIAL_KINDS:
            self._writer.record(Special(node, self._number()))
        else:
            self.fail(join(directory, node.name), f"an entry of the unknown type {node.kind!r}")

    def _plan_file(self, node: Node, directory: bytes, present: os.stat_result | None) -> None:
        key = _link_key(node) if node.links > 1 else None
        if key is not None and key in self._links:
            first = self._links[key]
            self._writer.record(Link(node.name, self._number(), first.path, first.number, node.size))
            return
        content = self._content(node, directory)
        if content is None:
            return
        number = self._number()
        if key is not None:
            path = join(directory, node.name)
            self._links[key] = KnownLink(key[0], key[1], key[2], path, number)
            self.new_links.append(self._links[key])
        bare = node.with_content((), size=node.size)
        expected = "new" if present is None else "same" if looks_equal(node, present) else "update"
        self._tally.bytes_to_write += _growth(content, expected, present)
        if content.cost <= SHARD_BYTES and len(content.ids) <= SEGMENT_BLOBS:
            self._writer.file(directory, bare, number, content.size, content.ids, content.cost, expected)
        else:
            self._plan_segments(bare, directory, number, content, expected)

    def _content(self, node: Node, directory: bytes) -> _Content | None:
        """Look the blobs up; None, and a recorded failure, when one is missing."""
        ids = node.content_ids
        lengths: list[int] = []
        cost = 0
        for blob in ids:
            length = self._index.data_bytes(blob)
            if length is None:
                path = join(directory, node.name)
                self.fail(path, f"its content is lost: blob {short(blob)} is in no index of the repository")
                return None
            lengths.append(length)
            if not is_zero_block(blob, length):
                cost += length
        size = sum(lengths)
        if size != node.size:
            self.fail(
                join(directory, node.name),
                f"the snapshot says {node.size} bytes, its stored content has {size}: that is restored",
            )
        return _Content(ids, lengths, size, cost)

    def _plan_segments(
        self, node: Node, directory: bytes, number: int, content: _Content, expected: str
    ) -> None:
        cuts = list(_segments(content))
        self._writer.close_shard()
        first_shard = self._writer.next_shard
        self._writer.record(Large(node, number, content.size, first_shard, len(cuts), expected))
        for first, end, start in cuts:
            plan = FilePlan(
                directory=0,
                number=number,
                node=node,
                size=content.size,
                content=b"".join(content.ids[first:end]),
                start=start,
                segments=len(cuts),
                expected=expected,
            )
            self._writer.segment(directory, plan)

    def _number(self) -> int:
        number = self.next_file
        self.next_file += 1
        return number


def _segments(content: _Content) -> Iterable[tuple[int, int, int]]:
    """Cuts: (first blob, end, byte offset), each with up to SHARD_BYTES to be written."""
    first = start = offset = cost = 0
    for position, (blob, length) in enumerate(zip(content.ids, content.lengths, strict=True)):
        weight = 0 if is_zero_block(blob, length) else length
        if position > first and (cost + weight > SHARD_BYTES or position - first >= SEGMENT_BLOBS):
            yield first, position, start
            first, start, cost = position, offset, 0
        cost += weight
        offset += length
    yield first, len(content.ids), start


def _growth(content: _Content, expected: str, present: os.stat_result | None) -> int:
    """What the target grows by: all of a new file or of a large one that is built beside the old one."""
    if expected == "same":
        return 0
    if present is None or content.cost > SHARD_BYTES:
        return content.cost
    return max(0, content.cost - present.st_blocks * 512)


def _link_key(node: Node) -> LinkKey:
    """Names of one file have its inode and device; the content guards against trees that lie about that."""
    digest = hashlib.sha256(b"".join(node.content_ids)).digest()
    return node.inode, node.device_id, digest


def _open_obstacles(walk: SnapshotWalk) -> Iterable[bytes]:
    for position, frame in enumerate(walk.frames):
        if frame.obstacle:
            inner = walk.frames[position + 1 : position + 2]
            yield walk.path[: inner[0].parent_path_bytes] if inner else walk.path
