"""What damage costs: which snapshots, and which paths in them, need blobs that cannot be had.

Two passes. The first visits each tree of the repository once and finds out below which trees anything is lost; the
second goes down only there, snapshot by snapshot. So the work grows with the repository once, and else with the damage.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from holdfast.errors import IntegrityError
from holdfast.format.index import BlobType
from holdfast.format.tree import Node
from holdfast.ids import BlobId, from_hex, short, to_hex
from holdfast.repository.damage import BlobKey
from holdfast.repository.session import HeldRepository
from holdfast.repository.snapshots import StoredSnapshot
from holdfast.repository.touched_trees import TouchedTrees
from holdfast.verify.documents import LostPath

MAX_LOST_PATHS: Final = 50_000


@dataclass(slots=True, kw_only=True)
class Losses:
    """What is lost. needed: which of the lost blobs any snapshot refers to. paths: the first MAX_LOST_PATHS."""

    needed: set[BlobKey] = field(default_factory=set)
    snapshots: list[StoredSnapshot] = field(default_factory=list)
    paths: list[LostPath] = field(default_factory=list)
    path_count: int = 0


@dataclass(slots=True)
class _Tally:
    """A lost path, while snapshots are gone through from the newest on."""

    size_bytes: int
    newest: str
    blob: BlobId
    whole: bool
    snapshots: int = 0


def find_losses(
    held: HeldRepository,
    snapshots: Sequence[StoredSnapshot],
    lost: Collection[BlobKey],
    on_progress: Callable[[], None],
) -> Losses:
    """What of `snapshots` (oldest first) is lost with these blobs, and with those that are in no index.

    Raises:
        StorageUnavailableError and the like: the repository cannot be read just now.
    """
    search = _Search(held, lost, on_progress)
    losses = Losses()
    tallies: dict[bytes, _Tally] = {}
    for stored in reversed(snapshots):
        root = BlobId(from_hex(stored.snapshot.tree))
        if search.is_touched(root):
            losses.snapshots.append(stored)
            search.tally(root, short(stored.id), tallies)
    losses.needed = search.needed
    losses.path_count = len(tallies)
    for path in sorted(tallies)[:MAX_LOST_PATHS]:
        tally = tallies[path]
        losses.paths.append(
            LostPath(
                path=path,
                size_bytes=tally.size_bytes,
                snapshots=tally.snapshots,
                newest=tally.newest,
                blob=to_hex(tally.blob),
                whole=tally.whole,
            )
        )
    return losses


class _Search:
    """The first pass, done lazily from each root; `touched` remembers its answers."""

    def __init__(
        self, held: HeldRepository, lost: Collection[BlobKey], on_progress: Callable[[], None]
    ) -> None:
        self._held = held
        self._lost = lost
        self._on_progress = on_progress
        self._touched = TouchedTrees(self._look)
        self.needed: set[BlobKey] = set()

    def is_touched(self, root: BlobId) -> bool:
        """Whether anything below a tree is lost."""
        return self._touched.is_touched(root)

    def tally(self, root: BlobId, snapshot: str, tallies: dict[bytes, _Tally]) -> None:
        """Note the lost paths of one snapshot."""
        pending = [(b"", root)]
        while pending:
            path, tree = pending.pop()
            nodes = self._children(tree)
            if nodes is None:
                self._note(tallies, path or b"/", _Tally(0, snapshot, tree, whole=True))
                continue
            for node in nodes:
                child = path + b"/" + node.name
                if node.subtree_id is not None:
                    if node.subtree_id in self._touched:
                        pending.append((child, node.subtree_id))
                elif (blob := self._first_lost(node)) is not None:
                    self._note(tallies, child, _Tally(node.size, snapshot, blob, whole=False))

    def _look(self, tree: BlobId) -> tuple[bool, Sequence[BlobId]]:
        self._on_progress()
        nodes = self._children(tree)
        if nodes is None:
            return True, ()
        lost = [self._first_lost(node) for node in nodes]  # of all: each says which blobs are needed
        below = [node.subtree_id for node in nodes if node.subtree_id is not None]
        return any(blob is not None for blob in lost), below

    @staticmethod
    def _note(tallies: dict[bytes, _Tally], path: bytes, seen: _Tally) -> None:
        tallies.setdefault(path, seen).snapshots += 1

    def _children(self, tree: BlobId) -> list[Node] | None:
        """The nodes of a tree; None when it is lost."""
        if (tree, BlobType.TREE) in self._lost:
            self.needed.add((tree, BlobType.TREE))
            return None
        try:
            return self._held.loader.load_tree(tree)
        except IntegrityError:
            return None

    def _first_lost(self, node: Node) -> BlobId | None:
        first: BlobId | None = None
        for blob in node.content_ids:
            if (blob, BlobType.DATA) in self._lost:
                self.needed.add((blob, BlobType.DATA))
            elif self._held.index.lookup(blob, BlobType.DATA) is not None:
                continue
            first = first or blob
        return first
