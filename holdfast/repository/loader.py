"""Blobs out of the repository."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from holdfast.format.index import BlobEntry, BlobType
from holdfast.format.tree import Node
from holdfast.ids import BlobId, PackId
from holdfast.repository.index_map import IndexMap
from holdfast.repository.repository import Repository


@dataclass(frozen=True, slots=True)
class PackRange:
    """One read of neighbouring blobs of one pack; entries in the order of their offsets."""

    pack: PackId
    offset: int
    length: int
    entries: tuple[BlobEntry, ...]


class BlobLoader:
    """Thread-safe."""

    def __init__(self, repository: Repository, index: IndexMap) -> None:
        raise NotImplementedError

    def load(self, blob: BlobId, blob_type: BlobType) -> bytes:
        raise NotImplementedError

    def load_tree(self, tree: BlobId) -> list[Node]:
        raise NotImplementedError

    def plan_reads(self, blobs: Iterable[BlobId], blob_type: BlobType = BlobType.DATA) -> list[PackRange]:
        """The reads that bring the blobs, grouped by pack, each at most 8 MiB unless one blob is larger."""
        raise NotImplementedError

    def read_range(self, planned: PackRange) -> Iterator[tuple[BlobId, bytes]]:
        """One read; each of its blobs, opened and checked."""
        raise NotImplementedError

    def load_many(
        self, blobs: Iterable[BlobId], blob_type: BlobType = BlobType.DATA
    ) -> Iterator[tuple[BlobId, bytes]]:
        raise NotImplementedError
