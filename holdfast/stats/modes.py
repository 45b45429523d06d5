"""Snapshots are counted in one of restic's four ways, to the byte.

    restore-size       every entry of every snapshot; of files with several links the first
    files-by-contents  entries of different content, whatever their names: those without content are one
    blobs-per-file     of each path, its different blobs; of content that several paths have, those of the first one
    raw-data           different blobs, as they are stored

"Files" are entries of any kind, as in restic. Source: restic, cmd/restic/cmd_stats.go, as of 0.18.

A tree that was counted before is not read again: what it adds is known, or nothing.
"""

import hashlib
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Final

import msgspec

from holdfast.crypto.sealing import OVERHEAD_BYTES
from holdfast.format.index import BlobType
from holdfast.format.node import Node
from holdfast.ids import BlobId, from_hex
from holdfast.repository.session import HeldRepository
from holdfast.repository.snapshots import StoredSnapshot
from holdfast.stats.trees import entries_below, entry_of

_VERSION_WITH_COMPRESSION: Final = 2


class CountMode(StrEnum):
    """How is counted; the words are restic's."""

    RESTORE_SIZE = "restore-size"
    FILES_BY_CONTENTS = "files-by-contents"
    BLOBS_PER_FILE = "blobs-per-file"
    RAW_DATA = "raw-data"


class Counted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The counts, with restic's names: bytes, numbers, and in raw-data how well blobs were compressed.

    compression_progress, compression_space_saving: percent.
    """

    total_size: int = msgspec.field(default_factory=int)
    total_uncompressed_size: int = 0
    compression_ratio: float = 0.0
    compression_progress: float = 0.0
    compression_space_saving: float = 0.0
    total_file_count: int = 0
    total_blob_count: int = 0
    snapshots_count: int = msgspec.field(default_factory=int)


def count(held: HeldRepository, snapshots: Sequence[StoredSnapshot], mode: CountMode) -> Counted:
    """Count these snapshots.

    Raises:
        BlobMissingError, StoredFileMissingError, CorruptFileError: something that is to be counted is not there.
    """
    roots = [BlobId(from_hex(stored.snapshot.tree)) for stored in snapshots]
    counted = _WAYS[mode](held, roots)
    return msgspec.structs.replace(counted, snapshots_count=len(snapshots))


def _restore_size(held: HeldRepository, roots: Sequence[BlobId]) -> Counted:
    whole: dict[BlobId, tuple[int, int]] = {}
    """What a tree in which no file has several links adds each time."""
    files = size = 0
    for root in roots:
        linked: set[tuple[int, int]] = set()
        added = _Sizes(held, whole, linked).of(root)
        files, size = files + added[0], size + added[1]
    return Counted(total_file_count=files, total_size=size)


class _Sizes:
    """Counts what is below the trees of one snapshot. Without recursion: a tree is summed when its children are."""

    def __init__(
        self,
        held: HeldRepository,
        whole: dict[BlobId, tuple[int, int]],
        linked: set[tuple[int, int]],
    ) -> None:
        self._load_tree = held.loader.load_tree
        self._whole = whole
        self._linked = linked

    def of(self, root: BlobId) -> tuple[int, int]:
        """Entries and bytes below a tree."""
        known = self._whole.get(root)
        if known is not None:
            return known
        open_trees = [self._begun(root)]
        while True:
            tree = open_trees[-1]
            subtree = next(tree.waiting, None)
            if subtree is not None:
                known = self._whole.get(subtree)
                if known is None:
                    open_trees.append(self._begun(subtree))
                else:
                    tree.add(*known)
                continue
            open_trees.pop()
            if tree.is_simple:
                self._whole[tree.id] = (tree.files, tree.size)
            if not open_trees:
                return tree.files, tree.size
            open_trees[-1].add(tree.files, tree.size, is_simple=tree.is_simple)

    def _begun(self, tree: BlobId) -> "_OpenTree":
        nodes = self._load_tree(tree)
        begun = _OpenTree(tree, nodes)
        for node in nodes:
            begun.add(1, self._size_of(node), is_simple=node.is_directory or node.links == 1)
        return begun

    def _size_of(self, node: Node) -> int:
        if node.links == 1 or node.is_directory:
            return node.size
        key = (node.inode, node.device_id)
        if node.inode and key in self._linked:
            return 0
        self._linked.add(key)
        return node.size


class _OpenTree:
    """A tree whose children are being summed."""

    def __init__(self, tree: BlobId, nodes: Sequence[Node]) -> None:
        self.id = tree
        self.waiting: Iterator[BlobId] = iter(
            [node.subtree_id for node in nodes if node.subtree_id is not None]
        )
        self.files = self.size = 0
        self.is_simple = True

    def add(self, files: int, size: int, *, is_simple: bool = True) -> None:
        self.files += files
        self.size += size
        self.is_simple = self.is_simple and is_simple


def _files_by_contents(held: HeldRepository, roots: Sequence[BlobId]) -> Counted:
    contents: set[bytes] = set()
    size = 0
    for entry in entries_below(held, roots):
        if _is_new(entry.node, contents):
            size += entry.node.size
    return Counted(total_file_count=len(contents), total_size=size)


def _blobs_per_file(held: HeldRepository, roots: Sequence[BlobId]) -> Counted:
    contents: set[bytes] = set()
    paths: set[bytes] = set()
    references: set[bytes] = set()
    size = 0
    for entry in entries_below(held, roots):
        if not entry.node.content or not _is_new(entry.node, contents):
            continue
        path = entry.path
        paths.add(hashlib.blake2b(path, digest_size=16).digest())
        for blob in entry.node.content_ids:
            reference = hashlib.blake2b(path, digest_size=16, key=blob).digest()
            if reference not in references:
                references.add(reference)
                size += entry_of(held, blob, BlobType.DATA).plaintext_bytes
    return Counted(total_file_count=len(paths), total_blob_count=len(references), total_size=size)


def _raw_data(held: HeldRepository, roots: Sequence[BlobId]) -> Counted:
    data: set[bytes] = set()
    trees: set[BlobId] = set()
    for entry in entries_below(held, roots, trees=trees):
        if entry.node.is_file and entry.node.content:
            data.update(entry.node.content_ids)
    stored = plain = compressed = compressed_plain = 0
    for kind, blobs in ((BlobType.TREE, trees), (BlobType.DATA, data)):
        for blob in blobs:
            indexed = entry_of(held, BlobId(blob), kind)
            plain_bytes = indexed.plaintext_bytes + OVERHEAD_BYTES
            stored += indexed.length
            plain += plain_bytes
            if indexed.uncompressed_length:
                compressed += indexed.length
                compressed_plain += plain_bytes
    counted = Counted(total_blob_count=len(data) + len(trees), total_size=stored)
    if held.repository.version < _VERSION_WITH_COMPRESSION or not plain:
        return counted
    return msgspec.structs.replace(
        counted,
        total_uncompressed_size=plain,
        compression_ratio=compressed_plain / compressed if compressed else 0.0,
        compression_progress=compressed_plain / plain * 100,
        compression_space_saving=(1 - stored / plain) * 100,
    )


def _is_new(node: Node, contents: set[bytes]) -> bool:
    """Whether this content was not seen before; that nodes of other kinds have none is a content too."""
    digest = hashlib.sha256(b"".join(node.content_ids)).digest()
    if digest in contents:
        return False
    contents.add(digest)
    return True


_WAYS: Final = {
    CountMode.RESTORE_SIZE: _restore_size,
    CountMode.FILES_BY_CONTENTS: _files_by_contents,
    CountMode.BLOBS_PER_FILE: _blobs_per_file,
    CountMode.RAW_DATA: _raw_data,
}
