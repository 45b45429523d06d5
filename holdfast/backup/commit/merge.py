"""Trees from a stream of nodes in walk order: bottom up, with one open tree for each level of the path.

Directories must be balanced and names ascend by raw bytes within each, as the walk delivers them. Memory is one
encoded tree per open level, whatever the number of entries below.
"""

from collections.abc import Callable

from holdfast.errors import RunStateError
from holdfast.format.coverage import Gap, mark_of
from holdfast.format.tree import Node, TreeWriter
from holdfast.ids import BlobId

SaveTree = Callable[[bytes], BlobId]


class TreeMerger:
    """Builds the trees of a snapshot. `save_tree` stores one encoded tree and returns its id."""

    def __init__(self, save_tree: SaveTree) -> None:
        self._save_tree = save_tree
        self._writers = [TreeWriter()]
        self._directories: list[Node] = []
        self._gaps: list[set[Gap]] = [set()]

    @property
    def depth(self) -> int:
        """How many directories are open."""
        return len(self._directories)

    def enter(self, node: Node) -> None:
        """Open a directory; what follows belongs to it until `leave`."""
        self._directories.append(node)
        self._writers.append(TreeWriter())
        self._gaps.append(set())

    def add(self, node: Node) -> None:
        """Add a node that is complete."""
        self._writers[-1].add(node)

    def lacks(self, gap: Gap) -> None:
        """The innermost directory was not read whole."""
        self._gaps[-1].add(gap)

    @property
    def root_mark(self) -> str:
        """The mark of the root, which has no node."""
        return mark_of(self._gaps[0])

    def leave(self) -> None:
        """Close the innermost directory.

        Raises:
            RunStateError: none is open, so the plan cannot be this run's.
        """
        if not self._directories:
            raise RunStateError("the plan of this run leaves a directory that it never entered")
        tree = self._save_tree(self._writers.pop().finish())
        mark = mark_of(self._gaps.pop())
        self._writers[-1].add(self._directories.pop().with_subtree(tree, mark))

    def finish(self) -> BlobId:
        """Close the root; its id is the snapshot's tree.

        Raises:
            RunStateError: directories are still open.
        """
        if self._directories:
            raise RunStateError("the plan of this run ends inside a directory")
        return self._save_tree(self._writers.pop().finish())
