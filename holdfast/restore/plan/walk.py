"""Walks the selected part of a snapshot's trees in order, without recursion, from any place where a walk stopped.

Trees may come from a hostile repository: ids are hashes, so there are no cycles, but depth and the length of paths
are bounded, and nothing here grows with the number of files. Only names and nodes of the directories that the walk is
inside of are held.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from holdfast.errors import CorruptFileError, IntegrityError, RunStateError
from holdfast.format.modes import SOCKET
from holdfast.format.tree import Node
from holdfast.ids import BlobId
from holdfast.restore.documents import OpenDirectory
from holdfast.restore.plan.selection import EVERYTHING, Selection

MAX_DEPTH = 100_000
MAX_PATH_BYTES = 4 * 1024 * 1024

LoadTree = Callable[[BlobId], list[Node]]


@dataclass(slots=True)
class Frame:
    """A directory that the walk is inside of.

    selected: it is restored itself. entered: its record is written, so on_disk, obstacle and link are known: the target
    has this directory; something else is there that may be removed; a link is there that is followed.
    """

    node: Node | None
    nodes: Sequence[Node]
    parent_path_bytes: int
    whole: bool
    position: int = 0
    entered: bool = False
    on_disk: bool = False
    obstacle: bool = False
    selected: bool = True
    link: bool = False


class Item(msgspec.Struct, frozen=True, gc=False):
    """A selected entry that is no directory."""

    node: Node


@dataclass(frozen=True, slots=True)
class Began:
    """The walk went into a directory."""

    frame: Frame


@dataclass(frozen=True, slots=True)
class Ended:
    """The walk left a directory."""

    frame: Frame


@dataclass(frozen=True, slots=True)
class Broken:
    """A directory whose tree cannot be read; the walk goes on behind it."""

    path: bytes
    message: str


Step = Item | Began | Ended | Broken


class SnapshotWalk:
    """The walk. `path` is that of the innermost open directory, relative and without slashes at its ends."""

    def __init__(self, load_tree: LoadTree, selection: Selection, root: BlobId) -> None:
        self._load_tree = load_tree
        self._selection = selection
        self.path = b""
        self.frames = [
            Frame(node=None, nodes=load_tree(root), parent_path_bytes=0, whole=False, entered=True)
        ]

    def resume(self, directories: Sequence[OpenDirectory], after: bytes) -> None:
        """Go on behind the entry `after` of the innermost of these directories.

        Raises:
            RunStateError: the trees are not those of the walk that stopped.
        """
        self.frames[0].on_disk = directories[0].on_disk
        for directory in directories[1:]:
            above = self.frames[-1]
            above.position = _position_behind(above.nodes, directory.name)
            node = above.nodes[above.position - 1] if above.position else None
            if node is None or node.name != directory.name or node.subtree_id is None:
                raise RunStateError("the plan of the restore does not fit to its snapshot")
            frame = self._push(
                node,
                self._load_tree(node.subtree_id),
                whole=directory.whole,
                selected=directory.selected,
            )
            frame.link = directory.link
            frame.entered, frame.on_disk = directory.entered, directory.on_disk
            frame.obstacle = directory.obstacle
        self.frames[-1].position = _position_behind(self.frames[-1].nodes, after) if after else 0

    def cursor(self) -> tuple[tuple[OpenDirectory, ...], bytes]:
        """What `resume` needs to go on from here."""
        directories = tuple(
            OpenDirectory(
                name=b"" if frame.node is None else frame.node.name,
                entered=frame.entered,
                on_disk=frame.on_disk,
                obstacle=frame.obstacle,
                whole=frame.whole,
                selected=frame.selected,
                link=frame.link,
            )
            for frame in self.frames
        )
        innermost = self.frames[-1]
        return directories, innermost.nodes[innermost.position - 1].name if innermost.position else b""

    def abandon(self, frame: Frame) -> None:
        """Skip the rest of a directory and everything in it; no Ended comes for it or for those inside."""
        while self.frames[-1] is not frame:
            self._pop()
        self._pop()

    def steps(self) -> Iterator[Step | None]:
        """The walk in order, to its end; None for what is not selected. The root directory ends without a step."""
        while self.frames:
            frame = self.frames[-1]
            if frame.position >= len(frame.nodes):
                if len(self.frames) == 1:
                    return
                self._pop()
                yield Ended(frame)
                continue
            node = frame.nodes[frame.position]
            frame.position += 1
            yield self._visit(node, frame)

    def location(self, name: bytes) -> bytes:
        """The path of an entry of the innermost directory, as patterns see it."""
        return b"/%b/%b" % (self.path, name) if self.path else b"/" + name

    def _visit(self, node: Node, frame: Frame) -> Step | None:
        if self._selection.is_everything:
            choice = EVERYTHING
        else:
            choice = self._selection.choose(self.location(node.name), whole=frame.whole)
        if not node.is_directory:
            return Item(node) if choice.selected and node.kind != SOCKET else None
        if not choice.selected and not choice.descend:
            return None
        try:
            nodes = self._children(node) if choice.descend else []
        except IntegrityError as error:
            return Broken(self.location(node.name)[1:], error.message)
        return Began(self._push(node, nodes, whole=choice.whole, selected=choice.selected))

    def _children(self, node: Node) -> list[Node]:
        if len(self.frames) >= MAX_DEPTH or len(self.path) + len(node.name) >= MAX_PATH_BYTES:
            raise CorruptFileError("directories are nested too deeply")
        if node.subtree_id is None:
            raise CorruptFileError("a directory without a tree")
        return self._load_tree(node.subtree_id)

    def _push(self, node: Node, nodes: Sequence[Node], *, whole: bool, selected: bool) -> Frame:
        frame = Frame(
            node=node, nodes=nodes, parent_path_bytes=len(self.path), whole=whole, selected=selected
        )
        self.frames.append(frame)
        self.path = self.location(node.name)[1:]
        return frame

    def _pop(self) -> None:
        self.path = self.path[: self.frames.pop().parent_path_bytes]


def _position_behind(nodes: Sequence[Node], name: bytes) -> int:
    return bisect_right(nodes, name, key=lambda node: node.name)
