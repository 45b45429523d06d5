"""Which paths lose something to packs that are missing or damaged.

A second walk, only done when there are such packs: each blob that a path needs from them is read once. So a pack with
one bad blob, or with a damaged header and sound blobs, costs only the paths that are really lost.
"""

from collections.abc import Callable, Collection, Iterator

from holdfast.errors import IntegrityError
from holdfast.format.index import BlobType
from holdfast.format.tree import Node
from holdfast.ids import BlobId, PackId
from holdfast.repository.session import HeldRepository


def affected_paths(
    held: HeldRepository, root: BlobId, bad_packs: Collection[PackId], on_progress: Callable[[], None]
) -> Iterator[tuple[bytes, BlobId]]:
    """Each path below `root` that cannot be had whole, with the first blob that it lacks.

    A subtree that several directories share is visited for each of them. Directories whose tree is lost are left out:
    `check_structure` has named them.

    Raises:
        StorageUnavailableError and the like: the repository cannot be read just now.
    """
    search = _Search(held, bad_packs)
    pending = [(b"", root)]
    while pending:
        path, tree = pending.pop()
        on_progress()
        for node in search.children(tree):
            child = path + b"/" + node.name
            if node.subtree_id is not None:
                pending.append((child, node.subtree_id))
            lost = search.first_lost(node)
            if lost is not None:
                yield child, lost


class _Search:
    """Remembers which blobs of bad packs can be read; there are few of them."""

    def __init__(self, held: HeldRepository, bad_packs: Collection[PackId]) -> None:
        self._held = held
        self._bad_packs = bad_packs
        self._sound: dict[BlobId, bool] = {}

    def children(self, tree: BlobId) -> list[Node]:
        try:
            return self._held.loader.load_tree(tree)
        except IntegrityError:
            return []

    def first_lost(self, node: Node) -> BlobId | None:
        return next((blob for blob in node.content_ids if not self._is_sound(blob)), None)

    def _is_sound(self, blob: BlobId) -> bool:
        location = self._held.index.lookup(blob, BlobType.DATA)
        # What is in no index has been reported with its path already.
        if location is None or location.pack not in self._bad_packs:
            return True
        sound = self._sound.get(blob)
        if sound is None:
            sound = self._sound[blob] = self._reads(blob)
        return sound

    def _reads(self, blob: BlobId) -> bool:
        try:
            self._held.loader.load(blob, BlobType.DATA)
        except IntegrityError:
            return False
        return True
