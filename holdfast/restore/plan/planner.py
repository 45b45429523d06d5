"""Turns the steps of a snapshot walk into a plan: what must be written, linked, made, left alone, and what cannot.

Compares with the target by metadata only and changes nothing there. Whether a file's bytes differ is found out when
its shard runs; what is decided here is only what the overwrite rule allows.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Final

import msgspec

from holdfast.errors import HoldfastError
from holdfast.format.modes import BLOCK_DEVICE, CHARACTER_DEVICE, FIFO, SYMLINK
from holdfast.format.tree import Node
from holdfast.ids import BlobId, short
from holdfast.repository.index.map import IndexMap
from holdfast.restore.documents import (
    Enter,
    Failed,
    FilePlan,
    KnownLink,
    Large,
    Link,
    Skipped,
    Special,
)
from holdfast.restore.os_failures import path_failure
from holdfast.restore.plan.walk import Began, Broken, Ended, Frame, Item, SnapshotWalk, Step
from holdfast.restore.plan.writer import PlanWriter
from holdfast.restore.rules import Place, Rules, in_the_way
from holdfast.restore.shard.zeros import is_zero_block
from holdfast.restore.target import kept_of, look, looks_equal
from holdfast.runs.plan import Leave
from holdfast.safe_fs.directories import Directories, join
from holdfast.sizes import RestoreSizes
from holdfast.terms import RestoreTotals

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
    files_deleted: int = 0
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
        rules: Rules,
        writer: PlanWriter,
        next_file: int,
        sizes: RestoreSizes,
    ) -> None:
        self._sizes = sizes
        self._walk = walk
        self._index = index
        self._target = target
        self._rules = rules
        self._writer = writer
        self._links: dict[LinkKey, KnownLink] = {}
        self._tally = _Tally()
        self.next_file = next_file
        self.new_links: list[KnownLink] = []
        self.broken = 0
        """How many directories could not be gone into."""
        if walk.frames[0].position == 0 and len(walk.frames) == 1:
            walk.frames[0].on_disk = target is not None
        writer.obstacles.extend(_open_frames(walk, lambda frame: frame.obstacle))
        writer.links.extend(_open_frames(walk, lambda frame: frame.link))
        if target is not None:
            target.will_follow(writer.links)

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
                if step.frame.selected:
                    self._enter_open_directories()
            case Ended():
                if step.frame.entered:
                    self._writer.record(Leave())
            case Broken():
                self.broken += 1
                self.fail(step.path, step.message)

    def counts(self) -> RestoreTotals:
        """What was planned."""
        return RestoreTotals(**asdict(self._tally))

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
        leads = self._rules.leads(path, selected=frame.selected)
        try:
            present = self._look(self._walk.frames[position - 1], parent, node.name)
            if leads is not None and present is not None and stat.S_ISLNK(present.st_mode):
                present = self._follow(frame, path) or present
            if present is not None and not stat.S_ISDIR(present.st_mode):
                if self._rules.judge(node, present) is not Place.FREE:
                    return self._give_up(frame, path, in_the_way(present))
                frame.obstacle = True
                self._writer.obstacles.append(path)
                self._make_room(parent, node, present)
        except (OSError, HoldfastError) as error:
            return self._give_up(frame, path, path_failure(error))
        frame.on_disk = present is not None and not frame.obstacle
        frame.entered = True
        self._tally.dirs += 1
        kept = kept_of(present) if present is not None and leads is not None and frame.on_disk else None
        self._writer.record(Enter(node, frame.obstacle, leads, kept, frame.link))
        return True

    def _follow(self, frame: Frame, path: bytes) -> os.stat_result | None:
        """In place, a link on the way to what was asked for is its owner's own; None where none is followed."""
        if self._target is None or not self._rules.follows_links:
            return None
        status = os.fstat(self._target.follow(path).fd)
        frame.link = True
        self._writer.links.append(path)
        return status

    def _make_room(self, directory: bytes, node: Node, present: os.stat_result) -> bool:
        """Record what makes room for a node of another kind; False, and a recorded failure, where it cannot."""
        if self._target is None:
            return True
        gone = self._rules.replaced(self._target, directory, node, present)
        if gone is None:
            self.fail(join(directory, node.name), in_the_way(present))
            return False
        for record in gone:
            self._writer.record(record)
            self._tally.files_deleted += 1
        return True

    def _give_up(self, frame: Frame, path: bytes, message: str) -> bool:
        self.broken += 1
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
        if node.is_file:
            self._tally.files += 1
            self._tally.bytes_total += node.size
        else:
            self._tally.others += 1
        present = None
        if frame.on_disk:
            try:
                present = self._look(frame, directory, node.name)
                if present is not None and not self._clear(directory, node, present):
                    return
            except (OSError, HoldfastError) as error:
                self.fail(join(directory, node.name), path_failure(error))
                return
        if node.is_file:
            self._plan_file(node, directory, present)
        elif node.kind in _SPECIAL_KINDS:
            self._plan_special(node, directory)
        else:
            self.fail(join(directory, node.name), f"an entry of the unknown type {node.kind!r}")

    def _clear(self, directory: bytes, node: Node, present: os.stat_result) -> bool:
        """Whether the node may take the place of what is there; else it is recorded as skipped or failed."""
        place = self._rules.judge(node, present)
        if place is Place.FREE:
            return self._make_room(directory, node, present)
        if place is Place.PROTECTED:
            self._tally.files_skipped += 1
            self._writer.record(Skipped(node.name, node.size if node.is_file else 0))
        else:
            self.fail(join(directory, node.name), in_the_way(present))
        return False

    def _plan_special(self, node: Node, directory: bytes) -> None:
        key = _link_key(node) if node.links > 1 else None
        if not self._is_further_name(node, key):
            number = self._number()
            self._remember(key, join(directory, node.name), number)
            self._writer.record(Special(node, number))

    def _is_further_name(self, node: Node, key: LinkKey | None) -> bool:
        """Plan a hard link where the walk has seen another name of this before."""
        first = None if key is None else self._links.get(key)
        if first is None:
            return False
        self._writer.record(Link(node.name, self._number(), first.path, first.number, node.size))
        return True

    def _remember(self, key: LinkKey | None, path: bytes, number: int) -> None:
        if key is not None:
            self._links[key] = KnownLink(key[0], key[1], key[2], path, number)
            self.new_links.append(self._links[key])

    def _plan_file(self, node: Node, directory: bytes, present: os.stat_result | None) -> None:
        key = _link_key(node) if node.links > 1 else None
        if self._is_further_name(node, key):
            return
        content = self._content(node, directory)
        if content is None:
            return
        number = self._number()
        self._remember(key, join(directory, node.name), number)
        bare = node.with_content((), size=node.size)
        expected = "new" if present is None else "same" if looks_equal(node, present) else "update"
        self._tally.bytes_to_write += _growth(content, expected, present, self._sizes.shard_bytes)
        if content.cost <= self._sizes.shard_bytes and len(content.ids) <= self._sizes.segment_blobs:
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
        cuts = list(_segments(content, self._sizes))
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


def _segments(content: _Content, sizes: RestoreSizes) -> Iterable[tuple[int, int, int]]:
    """Cuts: (first blob, end, byte offset), each with up to `shard_bytes` to be written."""
    first = start = offset = cost = 0
    for position, (blob, length) in enumerate(zip(content.ids, content.lengths, strict=True)):
        weight = 0 if is_zero_block(blob, length) else length
        if position > first and (
            cost + weight > sizes.shard_bytes or position - first >= sizes.segment_blobs
        ):
            yield first, position, start
            first, start, cost = position, offset, 0
        cost += weight
        offset += length
    yield first, len(content.ids), start


def _growth(content: _Content, expected: str, present: os.stat_result | None, shard_bytes: int) -> int:
    """What the target grows by: all of a new file or of a large one that is built beside the old one."""
    if expected == "same":
        return 0
    if present is None or content.cost > shard_bytes:
        return content.cost
    return max(0, content.cost - present.st_blocks * 512)


def _link_key(node: Node) -> LinkKey:
    """Names of one file have its inode and device; what it is guards against trees that lie about that."""
    what = b"".join(node.content_ids)
    if not node.is_file:
        what = b"%b\0%b\0%d" % (node.kind.encode(), node.target, node.device)
    digest = hashlib.sha256(what).digest()
    return node.inode, node.device_id, digest


def _open_frames(walk: SnapshotWalk, wanted: Callable[[Frame], bool]) -> Iterable[bytes]:
    """The paths of those open directories."""
    for position, frame in enumerate(walk.frames):
        if wanted(frame):
            inner = walk.frames[position + 1 : position + 2]
            yield walk.path[: inner[0].parent_path_bytes] if inner else walk.path
