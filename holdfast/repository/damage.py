"""Marks say which blobs of damaged packs cannot be believed: one sealed document for each pack.

A mark is made when a verification has found damage, and lies in the companion: `holdfast/damaged/<pack id>`. Marks in
the repository's own storage are read too, where the companion is another one: they were made before it was named, or
beside others. The marks are read with the index: a marked blob counts as unknown there, so that a
backup stores it again if the source still has it, and a restore takes any other copy first. Verification removes a mark
once nothing needs its pack (holdfast/verify/mend.py), or when the pack turns out to be sound.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from holdfast.errors import CorruptFileError
from holdfast.format.index import BlobType
from holdfast.ids import BlobId, PackId, to_hex
from holdfast.repository.companion import has_companion
from holdfast.repository.documents import encode, load
from holdfast.repository.layout import list_ids
from holdfast.repository.repository import Repository
from holdfast.repository.sealed_folder import SealedFolder

DAMAGED: Final = "holdfast/damaged"

BlobKey = tuple[BlobId, BlobType]


@dataclass(frozen=True, slots=True, kw_only=True)
class DamagedPack:
    """A pack and its blobs that cannot be read. whole: all of them, as where the mark itself cannot be read."""

    pack: PackId
    blobs: frozenset[BlobKey] = frozenset()
    whole: bool = False

    def covers(self, blob: BlobId, blob_type: BlobType) -> bool:
        """Whether the pack's copy of a blob is damaged."""
        return self.whole or (blob, blob_type) in self.blobs


Damage = Mapping[PackId, DamagedPack]


class _Blob(msgspec.Struct, frozen=True, array_like=True):
    id: bytes
    type: int


class _Mark(msgspec.Struct, frozen=True, kw_only=True):
    whole: bool
    blobs: tuple[_Blob, ...] = ()


class DamageMarks:
    """The marks of one repository. Thread-safe; making or removing one twice is doing it once."""

    def __init__(self, repository: Repository) -> None:
        self._folder = SealedFolder(repository, DAMAGED)
        self._places = [(self._folder, repository.companion)]
        if has_companion(repository) and repository.storage.traits.any_name:
            own = SealedFolder(repository, DAMAGED, repository.storage, may_lack=True)
            self._places.append((own, repository.storage))

    def seen(self) -> frozenset[tuple[bytes, int]]:
        """The packs that are marked, with the size of each mark; one listing for a place. Changes when a mark does."""
        return frozenset(mark for _, storage in self._places for mark in list_ids(storage, DAMAGED))

    def load(self) -> dict[PackId, DamagedPack]:
        """All marks."""
        marks: dict[PackId, DamagedPack] = {}
        for folder, storage in reversed(self._places):  # those of the companion count where there are two
            for raw, _ in list_ids(storage, DAMAGED):
                mark = _read(folder, PackId(raw))
                if mark is not None:
                    marks[mark.pack] = mark
        return marks

    def put(self, damaged: DamagedPack) -> None:
        """Mark a pack, in place of an earlier mark; durable on return."""
        blobs = tuple(_Blob(blob, int(kind)) for blob, kind in sorted(damaged.blobs))
        self._folder.put(to_hex(damaged.pack), encode(_Mark(whole=damaged.whole, blobs=blobs)))

    def remove(self, pack: PackId) -> None:
        """Take a mark away; one in the repository's own storage stays where nothing can be removed."""
        for folder, storage in self._places:
            if storage.traits.keeps_documents:
                folder.remove(to_hex(pack))


def _read(folder: SealedFolder, pack: PackId) -> DamagedPack | None:
    try:
        mark = load(folder, to_hex(pack), _Mark)
        if mark is None:
            return None  # removed since it was listed
        blobs = frozenset((BlobId(blob.id), BlobType(blob.type)) for blob in mark.blobs)
        return DamagedPack(pack=pack, blobs=blobs, whole=mark.whole)
    except (CorruptFileError, ValueError):
        return DamagedPack(pack=pack, whole=True)
