"""What is wrong in a tree is seen, and a tree is written again without it. Without recursion: directories nest as deep
as they like.

What is wrong: a blob that no index file names, or that is marked as damaged and cannot be read from anywhere; a tree
that cannot be read; a size that is not that of the content; a node of no kind. A tree in which nothing is wrong
stays as it is, whatever program wrote it.
"""

from collections.abc import Callable, Sequence
from typing import Final

from holdfast.errors import IntegrityError
from holdfast.format.coverage import Gap, gaps_of, mark_of
from holdfast.format.index import BlobType
from holdfast.format.node import Node
from holdfast.format.tree import TreeWriter
from holdfast.ids import BlobId, from_hex, sha256, short, to_hex
from holdfast.repair.documents import Report
from holdfast.repository.index.map import IndexMap
from holdfast.repository.packs.loader import BlobLoader
from holdfast.repository.snapshots import StoredSnapshot
from holdfast.verify.documents import LostPath
from holdfast.verify.lost import MAX_LOST_PATHS

_NO_KINDS: Final = frozenset(("", "irregular"))


class Eyes:
    """Sees what is wrong in a tree, by one state of the index."""

    def __init__(self, index: IndexMap, loader: BlobLoader, on_tree: Callable[[], None]) -> None:
        self._index = index
        self._loader = loader
        self._on_tree = on_tree
        self._read: dict[BlobId, bool] = {}
        """Of marked blobs that no sound pack has: whether they can be read all the same."""

    def look(self, tree: BlobId) -> tuple[bool, Sequence[BlobId]]:
        """For TouchedTrees."""
        self._on_tree()
        nodes = self.nodes(tree)
        if nodes is None:
            return True, ()
        below = [node.subtree_id for node in nodes if node.subtree_id is not None]
        return any(self.repaired(node) is not node for node in nodes), below

    def nodes(self, tree: BlobId) -> list[Node] | None:
        """The nodes of a tree; None where it is lost. One that is there and not understood has none to mend."""
        try:
            return self._loader.load_tree(tree)
        except IntegrityError:
            return [] if self._is_there(tree, BlobType.TREE) else None

    def repaired(self, node: Node) -> Node | None:
        """The node as it can be had: itself, with less content, or not at all."""
        if node.kind in _NO_KINDS:
            return None
        if not node.is_file:
            return node
        content = node.content_ids
        kept = [blob for blob in content if self._is_data_there(blob)]
        size = sum(self._index.data_bytes(blob) or 0 for blob in kept)
        if len(kept) == len(content) and size == node.size:
            return node
        return node.with_content(kept, size=size)

    def first_lost(self, node: Node) -> BlobId | None:
        """The first blob of a file that cannot be had."""
        return next((blob for blob in node.content_ids if not self._is_data_there(blob)), None)

    def _is_data_there(self, blob: BlobId) -> bool:
        if self._index.has(blob, BlobType.DATA):
            return True
        if self._index.lookup(blob, BlobType.DATA) is None:
            return False
        if blob not in self._read:
            self._read[blob] = self._is_there(blob, BlobType.DATA)
        return self._read[blob]

    def _is_there(self, blob: BlobId, kind: BlobType) -> bool:
        try:
            self._loader.load(blob, kind)
        except IntegrityError:
            return False
        return True


def _with(node: Node, tree: BlobId) -> Node:
    """A directory's node with this tree: itself, if it has it."""
    return node if node.subtree_id == tree else node.with_subtree(tree, node.error)


class _Directory:
    """A directory that is being written again. node: None for the root. changed: something in it is another."""

    __slots__ = ("changed", "left", "node", "path", "tree", "writer")

    def __init__(self, tree: BlobId, path: bytes, node: Node | None, nodes: Sequence[Node]) -> None:
        self.tree = tree
        self.path = path
        self.node = node
        self.left = iter(nodes)
        self.writer = TreeWriter()
        self.changed = False

    def add(self, node: Node, *, in_place_of: Node) -> None:
        """Write a node."""
        self.writer.add(node)
        self.changed = self.changed or node is not in_place_of


class Rewriter:
    """Writes trees as they can be had, only those that were seen to need it; each once, whatever names it."""

    def __init__(
        self,
        index: IndexMap,
        loader: BlobLoader,
        save: Callable[[BlobId, bytes], None],
        touched: set[BlobId],
        report: Report,
    ) -> None:
        """save: stores a tree under its id. report: gets the paths of what is lacking."""
        self._index = index
        self._eyes = Eyes(index, loader, lambda: None)
        self._save_tree = save
        self._touched = touched
        self._report = report
        self._stored: set[BlobId] = set()
        self._new: dict[BlobId, BlobId] = {}
        """By the trees that they replace."""

    def rewrite(self, stored: StoredSnapshot) -> BlobId | None:
        """The tree that a snapshot gets; None where its root is lost."""
        root = BlobId(from_hex(stored.snapshot.tree))
        nodes = self._eyes.nodes(root)
        if nodes is None:
            self._note(stored, b"/", 0, root, whole=True)
            return None
        waiting = [_Directory(root, b"", None, nodes)]
        while True:
            directory = waiting[-1]
            node = next(directory.left, None)
            if node is not None:
                below = self._add(stored, directory, node)
                if below is not None:
                    waiting.append(below)
                continue
            waiting.pop()
            tree = self._save(directory.writer.finish()) if directory.changed else directory.tree
            self._new[directory.tree] = tree
            if directory.node is None:
                return tree
            waiting[-1].add(_with(directory.node, tree), in_place_of=directory.node)

    def _add(self, stored: StoredSnapshot, directory: _Directory, node: Node) -> _Directory | None:
        """Add a node to the directory that is written; its own directory, where that must be written first."""
        path = directory.path + b"/" + node.name
        subtree = node.subtree_id
        if subtree is None or subtree not in self._touched:
            repaired = self._eyes.repaired(node)
            if repaired is not None:
                directory.add(repaired, in_place_of=node)
            if repaired is not node:
                directory.changed = True
                blob = self._eyes.first_lost(node)
                self._note(stored, path, node.size, blob, whole=False)
            return None
        known = self._new.get(subtree)
        if known is not None:
            directory.add(_with(node, known), in_place_of=node)
            return None
        nodes = self._eyes.nodes(subtree)
        if nodes is None:
            self._note(stored, path, 0, subtree, whole=True)
            mark = mark_of({*gaps_of(node.error), Gap.UNREADABLE})
            empty = self._save(TreeWriter().finish())
            directory.add(node.with_subtree(empty, mark), in_place_of=node)
            return None
        return _Directory(subtree, path, node, nodes)

    def _save(self, data: bytes) -> BlobId:
        tree = BlobId(sha256(data))
        if tree not in self._stored and not self._index.has(tree, BlobType.TREE):
            self._save_tree(tree, data)
            self._stored.add(tree)
        return tree

    def _note(
        self, stored: StoredSnapshot, path: bytes, size_bytes: int, blob: BlobId | None, *, whole: bool
    ) -> None:
        self._report.path_count += 1
        if len(self._report.paths) < MAX_LOST_PATHS:
            self._report.paths.append(
                LostPath(
                    path=path,
                    size_bytes=size_bytes,
                    snapshots=1,
                    newest=short(stored.id),
                    blob="" if blob is None else to_hex(blob),
                    whole=whole,
                )
            )
