"""Looks through a tree that is stored: is every blob of it in the index, and what does it count? Without recursion."""

from holdfast.errors import IntegrityError
from holdfast.format.index import BlobType
from holdfast.ids import BlobId, PackId
from holdfast.repository.session import HeldRepository
from holdfast.repository.whole_trees import WholeTree


def is_whole(held: HeldRepository, root: BlobId) -> bool:
    """Whether all is there that a snapshot of this tree needs, files of packs included."""
    try:
        whole = held.whole_trees.get(root) or look_through(held, root)
    except IntegrityError:
        return False
    return whole is not None and not held.missing_packs(whole.packs)


def look_through(held: HeldRepository, root: BlobId) -> WholeTree | None:
    """The counts of everything below `root`; None when a blob is missing.

    Raises:
        StoredFileMissingError, CorruptFileError: a tree that the index shows cannot be read.
    """
    index, load_tree = held.index, held.loader.load_tree
    packs: set[PackId] = set()
    files = directories = bytes_total = blobs = 0
    pending = [root]
    while pending:
        tree = pending.pop()
        location = index.lookup(tree, BlobType.TREE)
        if location is None:
            return None
        packs.add(location.pack)
        directories += 1
        blobs += 1
        for node in load_tree(tree):
            if node.is_file:
                files += 1
                bytes_total += node.size
                for text in node.content or ():
                    pack = index.data_pack(bytes.fromhex(text))
                    if pack is None:
                        return None
                    packs.add(pack)
                    blobs += 1
            elif node.subtree_id is not None:
                pending.append(node.subtree_id)
    return WholeTree(
        files=files, directories=directories, bytes_total=bytes_total, blobs=blobs, packs=frozenset(packs)
    )
