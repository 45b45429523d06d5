"""Whole subtrees are remembered under one index: that nothing in them is missing, and what they count.

A service that backs up the same source again and again meets the same unchanged subtrees. That all their blobs are in
the index needs to be found out once for each index that was loaded: entries are only ever added to it, and it is given
up when an index file vanishes or a mark of damage comes (session.py).
"""

from dataclasses import dataclass
from typing import Final

from holdfast.ids import BlobId, PackId

_MAX_TREES: Final = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeTree:
    """The counts of everything below a tree, itself included, and the packs that it needs."""

    files: int
    directories: int
    bytes_total: int
    blobs: int
    packs: frozenset[PackId]


class WholeTrees:
    """The subtrees known to be whole; bounded, the first ones stay."""

    def __init__(self) -> None:
        self._trees: dict[BlobId, WholeTree] = {}

    def get(self, tree: BlobId) -> WholeTree | None:
        """What is known of a subtree."""
        return self._trees.get(tree)

    def add(self, tree: BlobId, whole: WholeTree) -> None:
        """Remember that nothing of it is missing."""
        if len(self._trees) < _MAX_TREES:
            self._trees[tree] = whole
