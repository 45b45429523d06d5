"""The entries below trees are gone through, each tree once, in the order of its entries. Without recursion."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from holdfast.errors import BlobMissingError
from holdfast.format.index import BlobEntry, BlobType
from holdfast.format.node import Node
from holdfast.ids import BlobId, short
from holdfast.repository.session import HeldRepository


@dataclass(slots=True)
class Entry:
    """One node, and the path of its directory."""

    directory: bytes
    node: Node

    @property
    def path(self) -> bytes:
        """Its path below the root, with a slash in front."""
        return self.directory + b"/" + self.node.name


def entries_below(
    held: HeldRepository,
    roots: Iterable[BlobId],
    *,
    trees: set[BlobId] | None = None,
) -> Iterator[Entry]:
    """All entries below these trees, a directory before what it holds; of a tree that comes again nothing.

    trees: gets those that were read.

    Raises:
        BlobMissingError, StoredFileMissingError, CorruptFileError: a tree cannot be read.
    """
    seen: set[BlobId] = set() if trees is None else trees
    for root in roots:
        if root in seen:
            continue
        waiting = [_entries(held, root, b"")]
        seen.add(root)
        while waiting:
            entry = next(waiting[-1], None)
            if entry is None:
                waiting.pop()
                continue
            yield entry
            subtree = entry.node.subtree_id
            if subtree is not None and subtree not in seen:
                seen.add(subtree)
                waiting.append(_entries(held, subtree, entry.path))


def entry_of(held: HeldRepository, blob: BlobId, kind: BlobType) -> BlobEntry:
    """What the index says of a blob.

    Raises:
        BlobMissingError: it says nothing.
    """
    location = held.index.lookup(blob, kind)
    if location is None:
        raise BlobMissingError(
            f"blob {short(blob)} is in no index", hint="`holdfast verify` says what is lost with it."
        )
    return location.entry


def _entries(held: HeldRepository, tree: BlobId, directory: bytes) -> Iterator[Entry]:
    return (Entry(directory, node) for node in held.loader.load_tree(tree))
