"""Where each blob lies."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from holdfast.format.index import BlobEntry, BlobType, IndexPack
from holdfast.ids import BlobId, PackId


@dataclass(frozen=True, slots=True)
class BlobLocation:
    pack: PackId
    entry: BlobEntry


@dataclass(frozen=True, slots=True)
class PackInfo:
    """A pack as the index describes it; size_bytes: what its file must have."""

    id: PackId
    size_bytes: int
    blob_count: int


class IndexMap:
    def __len__(self) -> int:
        raise NotImplementedError

    def __contains__(self, blob: BlobId) -> bool:
        raise NotImplementedError

    def has(self, blob: BlobId, blob_type: BlobType) -> bool:
        raise NotImplementedError

    def lookup(self, blob: BlobId, blob_type: BlobType | None = None) -> BlobLocation | None:
        raise NotImplementedError

    def add(self, pack: IndexPack) -> None:
        raise NotImplementedError

    def add_many(self, packs: Iterable[IndexPack]) -> None:
        raise NotImplementedError

    def has_pack(self, pack: PackId) -> bool:
        raise NotImplementedError

    def packs(self) -> Iterator[PackInfo]:
        raise NotImplementedError
