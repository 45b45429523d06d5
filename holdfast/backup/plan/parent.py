"""The parent snapshot beside the walk: which node it has for a name, and whether anything differs so far.

One frame for each directory the walk is inside of. A frame knows the parent's nodes of that directory, and whether
everything seen in it so far is the same; a directory that ends without a difference is the parent's tree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from holdfast.backup.documents import OpenDirectory
from holdfast.format.coverage import Gap
from holdfast.format.index import BlobType
from holdfast.format.tree import Node, names_of
from holdfast.ids import BlobId
from holdfast.repository.session import HeldRepository


@dataclass(slots=True)
class Frame:
    """One open directory. record: where its Enter record lies in the part being written, if still there.

    gaps: why it is not read whole.
    """

    name: bytes
    node: Node | None
    parent_node: Node | None
    parent_tree: BlobId | None
    parent_nodes: Mapping[bytes, Node] = field(default_factory=dict)
    same: bool = False
    children: int = 0
    record: int | None = None
    gaps: set[Gap] = field(default_factory=set)

    @property
    def unchanged(self) -> bool:
        """Whether its entries are exactly the parent's. Ask when the walk leaves the directory."""
        return self.same and self.parent_tree is not None and self.children == len(self.parent_nodes)


class ParentView:
    """The stack of frames along the walk; its bottom is the snapshot's root."""

    def __init__(self, held: HeldRepository, root: BlobId | None) -> None:
        self._held = held
        self.frames = [self._frame(b"", None, None, root)]

    @classmethod
    def resumed(
        cls, held: HeldRepository, root: BlobId | None, directories: Sequence[OpenDirectory]
    ) -> "ParentView":
        """The stack as it was at the end of a page."""
        view = cls(held, root)
        for directory in directories:
            parent_node = view.lookup(directory.name)
            view.enter(directory.name, None)
            frame = view.frames[-1]
            frame.parent_node = parent_node
            frame.same = directory.same
            frame.children = directory.children
            frame.gaps = set(directory.gaps)
        return view

    def lookup(self, name: bytes) -> Node | None:
        """The parent's node for a name in the innermost open directory."""
        return self.frames[-1].parent_nodes.get(name)

    def enter(self, name: bytes, node: Node | None) -> Frame:
        """A directory begins."""
        parent_node = self.lookup(name)
        tree = None if parent_node is None else parent_node.subtree_id
        frame = self._frame(name, node, parent_node, tree)
        self.frames.append(frame)
        return frame

    def leave(self) -> Frame:
        """The innermost directory ends."""
        return self.frames.pop()

    def saw(self, *, same: bool) -> None:
        """One more entry of the innermost directory, the same as the parent's or not."""
        frame = self.frames[-1]
        frame.children += 1
        frame.same = frame.same and same

    def saw_files(self, count: int, *, same: bool) -> None:
        """Some more entries of the innermost directory, all of them the same as the parent's or not."""
        frame = self.frames[-1]
        frame.children += count
        frame.same = frame.same and same

    def differs(self) -> None:
        """An entry that was counted as the same is not quite."""
        self.frames[-1].same = False

    def open_directories(self) -> tuple[OpenDirectory, ...]:
        """The stack without its bottom, for the page's document."""
        return tuple(
            OpenDirectory(
                name=frame.name, same=frame.same, children=frame.children, gaps=tuple(sorted(frame.gaps))
            )
            for frame in self.frames[1:]
        )

    def _frame(self, name: bytes, node: Node | None, parent_node: Node | None, tree: BlobId | None) -> Frame:
        nodes: Mapping[bytes, Node] = {}
        if tree is not None and self._held.index.has(tree, BlobType.TREE):
            children = self._held.loader.load_tree(tree)
            nodes = dict(zip(names_of(children), children, strict=True))
        else:
            tree = None
        return Frame(
            name=name,
            node=node,
            parent_node=parent_node,
            parent_tree=tree,
            parent_nodes=nodes,
            same=tree is not None,
        )
