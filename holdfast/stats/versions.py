"""Looks for the versions of a path in snapshots, one after the other; unchanged trees come from the loader's cache."""

from collections.abc import Callable, Iterator, Sequence

from holdfast.format.names import quote_path
from holdfast.format.node import Node
from holdfast.ids import BlobId, from_hex
from holdfast.repository.packs.loader import find_node
from holdfast.repository.snapshots import StoredSnapshot

LoadTree = Callable[[BlobId], list[Node]]


def versions(
    load_tree: LoadTree, taken: Sequence[StoredSnapshot], path: bytes
) -> Iterator[tuple[StoredSnapshot, Node | None]]:
    """The snapshots in which a path is another than in the one before, oldest first; None where it went.

    Raises:
        BlobMissingError, StoredFileMissingError, CorruptFileError: a tree cannot be read.
    """
    before: Node | None = None
    quoted = quote_path(path)
    for stored in taken:
        if not any(_is_within(quoted, root) for root in stored.snapshot.paths or ()):
            continue  # of another source
        node = find_node(load_tree, BlobId(from_hex(stored.snapshot.tree)), path)
        if (node is None) != (before is None) or (
            node is not None and before is not None and _differ(node, before)
        ):
            yield stored, node
        before = node


def _is_within(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")


def _differ(one: Node, other: Node) -> bool:
    return (one.kind, one.content, one.target, one.mtime) != (
        other.kind,
        other.content,
        other.target,
        other.mtime,
    )
