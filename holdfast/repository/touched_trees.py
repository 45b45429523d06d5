"""Finds out below which trees something is wrong. Each tree is looked at once, and answered when its children are.

Without recursion: directories may be nested as deep as they like.
"""

from collections.abc import Callable, Iterator, Sequence

from holdfast.ids import BlobId

Look = Callable[[BlobId], tuple[bool, Sequence[BlobId]]]
"""Whether something is wrong in a tree itself, and the trees of its directories."""


class TouchedTrees:
    """The answers so far, by tree."""

    def __init__(self, look: Look) -> None:
        """look: called once for each tree; what it raises ends the search, which may go on with another call."""
        self._look = look
        self._answers: dict[BlobId, bool] = {}

    def __contains__(self, tree: BlobId) -> bool:
        """Whether something is wrong in a tree that was answered, or below it."""
        return self._answers.get(tree, False)

    def touched(self) -> Iterator[BlobId]:
        """Those in which, or below which, something is wrong."""
        return (tree for tree, is_touched in self._answers.items() if is_touched)

    def is_touched(self, root: BlobId) -> bool:
        """Whether something is wrong in a tree or below it."""
        waiting = [] if root in self._answers else [self._begun(root)]
        while waiting:
            tree = waiting[-1]
            child = next((child for child in tree.left if child not in self._answers), None)
            if child is not None:
                waiting.append(self._begun(child))
                continue
            self._answers[tree.id] = tree.is_touched or any(self._answers[child] for child in tree.children)
            waiting.pop()
        return self._answers[root]

    def _begun(self, tree: BlobId) -> "_Tree":
        is_touched, children = self._look(tree)
        return _Tree(tree, children, is_touched=is_touched)


class _Tree:
    """A tree that was looked at, and whose children are being answered."""

    __slots__ = ("children", "id", "is_touched", "left")

    def __init__(self, tree: BlobId, children: Sequence[BlobId], *, is_touched: bool) -> None:
        self.id = tree
        self.children = children
        self.is_touched = is_touched
        self.left = iter(children)
