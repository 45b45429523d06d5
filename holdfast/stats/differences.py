"""Walks two snapshots side by side, and tells what came, went and changed between them.

Trees that are the same in both are not read: their names are their content. So it costs what differs, and not what the
snapshots hold. Both trees of a directory come in the order of names, of which two are held open for each level.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from holdfast.format.node import Node
from holdfast.ids import BlobId

LoadTree = Callable[[BlobId], list[Node]]


class Change(StrEnum):
    """What became of a path; the values are restic's letters (its manual, `restic diff`)."""

    ADDED = "+"
    REMOVED = "-"
    CONTENT = "M"
    METADATA = "U"
    TYPE = "T"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One path that differs. before, after: its nodes; one of them is None for what came or went."""

    path: bytes
    change: Change
    before: Node | None = None
    after: Node | None = None

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory (where it still is one)."""
        node = self.after or self.before
        return node is not None and node.is_directory


def differences(load_tree: LoadTree, before: BlobId | None, after: BlobId | None) -> Iterator[Difference]:
    """All paths that differ, in the order of names, a directory before what it holds. None: a tree without an entry.

    Raises:
        BlobMissingError, StoredFileMissingError, CorruptFileError: a tree cannot be read.
    """
    waiting = [(b"", _pairs(load_tree, before, after))]
    while waiting:
        directory, pairs = waiting[-1]
        pair = next(pairs, None)
        if pair is None:
            waiting.pop()
            continue
        name, old, new = pair
        path = directory + b"/" + name
        change = _change(old, new)
        if change is not None:
            yield Difference(path=path, change=change, before=old, after=new)
        trees = tuple(None if node is None else node.subtree_id for node in (old, new))
        if trees[0] != trees[1]:
            waiting.append((path, _pairs(load_tree, *trees)))


def _pairs(
    load_tree: LoadTree, before: BlobId | None, after: BlobId | None
) -> Iterator[tuple[bytes, Node | None, Node | None]]:
    """The entries of a directory by their names, in both trees."""
    old, new = (
        {node.name: node for node in (() if tree is None else load_tree(tree))} for tree in (before, after)
    )
    return ((name, old.get(name), new.get(name)) for name in sorted(old.keys() | new.keys()))


def _change(old: Node | None, new: Node | None) -> Change | None:
    if old is None:
        return Change.ADDED
    if new is None:
        return Change.REMOVED
    if old.kind != new.kind:
        return Change.TYPE
    if (old.content, old.target) != (new.content, new.target):
        return Change.CONTENT
    return Change.METADATA if _metadata(old) != _metadata(new) else None


def _metadata(node: Node) -> tuple[object, ...]:
    """What a person may have changed: the times of a directory are those of what it holds."""
    time = "" if node.is_directory else node.mtime
    return node.mode, node.uid, node.gid, node.user, node.group, time, node.device, node.xattrs
