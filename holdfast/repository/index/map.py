"""The map says where each blob lies: pack, offset and lengths by its id, in 53 to 60 bytes per blob.

The rows lie in logs (log.py): one that the processes of a host share, where there is one, and one of this process
for what does not find room there. A log holds what any index file has ever said; this map believes those files that it
was told to load, and so knows the packs that they name by number. Of several packs that hold a blob any one counts; of
several descriptions of a pack the first.

A blob whose pack is marked as damaged (damage.py) is none that the repository has: `has` says no, so that a backup
stores it again. `lookup` still finds it where there is no other copy: trying to read it can only help.

Reading needs no lock, also while another thread adds: a pack is believed only when all that it points to is in place.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from holdfast.crypto.sealing import OVERHEAD_BYTES
from holdfast.format.index import BlobEntry, BlobType, IndexPack, PackColumns, tail_bytes
from holdfast.ids import ID_BYTES, BlobId, IndexId, PackId
from holdfast.repository.damage import BlobKey, Damage
from holdfast.repository.index.log import (
    LENGTH,
    NEXT,
    OFFSET,
    PACK,
    PACK_NUMBERS,
    PLAIN_LENGTH,
    ROW_WORDS,
    TYPE_BIT,
    IndexLog,
    LoggedPack,
    bucket_of,
)

BELIEVED, DAMAGED = 1, 2
"""What a map thinks of a pack of a log; 0: nothing."""
_ROW_BYTES: Final = 4 * ROW_WORDS
_ALL_KINDS: Final = tuple(BlobType)
_WASTE_ROWS: Final = 1 << 16
"""So many rows of no use are none worth loading everything again."""


class BlobLocation(msgspec.Struct, frozen=True, gc=False):
    """A blob's pack, and where in it."""

    pack: PackId
    entry: BlobEntry


@dataclass(frozen=True, slots=True)
class PackInfo:
    """A pack as the index describes it. size_bytes: what its file must measure.

    expanded_bytes: what its compressed blobs expand to.
    """

    id: PackId
    size_bytes: int
    blob_count: int
    expanded_bytes: int = 0


class IndexMap:
    """The blobs of a repository. Any number of readers; writers take turns."""

    def __init__(self, damage: Damage | None = None, shared: IndexLog | None = None) -> None:
        """shared: a log of this repository that other processes use as well."""
        self.damage: Damage = damage or {}
        self._damaged: dict[BlobKey, BlobLocation] = {}
        self._lock = threading.Lock()
        self._shared = shared
        self._views = [View(log) for log in (shared, IndexLog.private()) if log is not None]
        self._packs: dict[PackId, PackInfo] = {}
        self._blobs = 0
        self._rows = 0
        """Of the files that were loaded."""

    def __len__(self) -> int:
        """How many blobs there are; one that several packs hold counts as often."""
        return self._blobs

    def __contains__(self, blob: BlobId) -> bool:
        return any(self._find(blob, kind) is not None for kind in BlobType)

    def has(self, blob: BlobId, blob_type: BlobType) -> bool:
        """Whether there is a blob of that id and type, in a pack that is not known to be damaged."""
        return self._find(blob, blob_type) is not None

    def data_pack(self, blob: bytes) -> PackId | None:
        """The pack that holds a data blob; None where `has` is not true of it."""
        found = self._find(blob, BlobType.DATA)
        return None if found is None else found.pack

    def has_content(self, content: Iterable[str]) -> bool:
        """Whether `has` would be true of every data blob of a node's content, which is in hex."""
        find = self._find
        for text in content:  # noqa: SIM110 - a generator for each file would take as long as the search
            if find(bytes.fromhex(text), BlobType.DATA) is None:
                return False
        return True

    def measure(self, content: Sequence[str], packs: set[PackId]) -> int | None:
        """How many bytes a node's content has, which is in hex; None where `has` is not true of all its blobs.

        packs: gets those that hold them.
        """
        size = 0
        for text in content:
            found = self._find(bytes.fromhex(text), BlobType.DATA)
            if found is None:
                return None
            packs.add(found.pack)
            size += found.plaintext_bytes
        return size

    def lookup(self, blob: BlobId, blob_type: BlobType | None = None) -> BlobLocation | None:
        """Where a blob lies; without a type, data before trees."""
        kinds = _ALL_KINDS if blob_type is None else (blob_type,)
        for kind in kinds:
            found = self._find(blob, kind)
            if found is not None:
                return found.location(blob, kind)
        damaged = (self._damaged.get((blob, kind)) for kind in kinds)
        return next((location for location in damaged if location is not None), None)

    def data_bytes(self, blob: BlobId) -> int | None:
        """How long a data blob is; None where `lookup` finds none."""
        found = self._find(blob, BlobType.DATA)
        if found is not None:
            return found.plaintext_bytes
        location = self._damaged.get((blob, BlobType.DATA))
        return None if location is None else location.entry.plaintext_bytes

    def row_of(self, blob: bytes, blob_type: BlobType) -> tuple[int, int, int] | None:
        """A number of a segment, one of the blob's row in it, and its length as stored; None where `has` is not true.

        They stay while the map lives: a count of blobs needs no memory for their ids.
        """
        found = self._find(blob, blob_type)
        return None if found is None else (*found.row, found.number(LENGTH))

    def pack_of(self, entry: BlobEntry, inside: PackId) -> PackId | None:
        """The pack that the index names for a blob which a pack lists; None for no pack, or another place `inside`."""
        found = self._find(entry.id, entry.type)
        if found is None or (found.pack == inside and found.location(entry.id, entry.type).entry != entry):
            return None
        return found.pack

    def add(self, pack: IndexPack) -> None:
        """Add one pack; one that is there already changes nothing."""
        self.load(IndexId(pack.id), [pack.columns])

    def load(self, index_id: IndexId, packs: Sequence[PackColumns], *, written: bool = False) -> None:
        """Add the packs of an index file. written: by this process, just now."""
        with self._lock:
            for view in self._views:
                if self._add_to(view, index_id, packs, written=written):
                    self._believe(view, index_id)
                    break
        if view.log is not self._shared:
            self.tell()

    def recall(self, index_id: IndexId, *, written: bool = False) -> bool:
        """Add the packs of an index file, if a process has put it into the shared log; whether that was so.

        written: only if that process had just written it.
        """
        with self._lock:
            try:
                if self._shared is None or (written and not self._shared.was_written(index_id)):
                    return False
                return self._believe(self._views[0], index_id)
            except OSError:  # no memory to map what others have appended: then the file is read
                return False

    def tell(self) -> None:
        """Have the other processes of this host look at the repository when they use it next."""
        if self._shared is not None:
            self._shared.tell()

    def news(self) -> tuple[int, int] | None:
        """How much the processes of this host have told each other so far; None where they cannot."""
        with self._lock:
            try:
                return None if self._shared is None else self._shared.news()
            except OSError:  # as in `recall`
                return None

    def said_since(self, heard: tuple[int, int]) -> list[IndexId] | None:
        """The index files that were put into the log since `heard` (`news`); None where there is other news."""
        now = self.news()
        if now is None or now[0] != heard[0] or self._shared is None:
            return None
        with self._lock:
            return list(self._shared.added_since(heard[1]))

    def close_waste(self) -> bool:
        """Close the shared log if most of it is of files that this map was not told to load; whether that was so."""
        if self._shared is None or self._shared.row_count <= _WASTE_ROWS + 2 * self._rows:
            return False
        self._shared.close()
        return True

    @property
    def pack_count(self) -> int:
        """How many packs there are."""
        return len(self._packs)

    def has_pack(self, pack: PackId) -> bool:
        """Whether the index describes a pack."""
        return pack in self._packs

    def pack(self, pack: PackId) -> PackInfo | None:
        """What the index says about a pack."""
        return self._packs.get(pack)

    def packs(self) -> Iterator[PackInfo]:
        """All packs, as they are now."""
        return iter(list(self._packs.values()))

    def packs_of(self, index_id: IndexId) -> list[LoggedPack]:
        """What an index file that was loaded names; packs that others name as well included."""
        for view in self._views:
            packs = view.log.packs(index_id)
            if packs is not None:
                return packs
        return []

    @property
    def views(self) -> "Sequence[View]":
        """The logs, with what this map thinks of their packs: for what goes through all of them (marks.py)."""
        return self._views

    def _find(self, blob: bytes, kind: int) -> "_Found | None":
        bucket = bucket_of(blob)
        for view in self._views:
            trust = view.trust
            for segment in view.log.segments:
                rows, words = segment.rows, segment.words
                row = segment.heads[bucket & segment.mask]
                while row:
                    at = row * ROW_WORDS
                    if rows[row * _ROW_BYTES : row * _ROW_BYTES + ID_BYTES] == blob:
                        number = words[at + PACK]
                        if number >> TYPE_BIT == kind:
                            number &= PACK_NUMBERS
                            trusted = number < len(trust) and trust[number]
                            if trusted == BELIEVED or (
                                trusted and not self._is_damaged(view, number, blob, kind)
                            ):
                                return _Found(view.packs[number], words, at)
                    row = words[at + NEXT]
        return None

    def _is_damaged(self, view: "View", number: int, blob: bytes, kind: int) -> bool:
        return self.damage[view.packs[number]].covers(BlobId(blob), BlobType(kind))

    def _add_to(
        self, view: "View", index_id: IndexId, packs: Sequence[PackColumns], *, written: bool
    ) -> bool:
        try:
            return view.log.add(index_id, packs, written=written)
        except OSError:
            if view is self._views[-1]:  # this process's own: there is no other way
                raise
            return False

    def _believe(self, view: "View", index_id: IndexId) -> bool:
        """Believe a file, if it is in the view's log."""
        packs = view.log.packs(index_id)
        for pack in packs or ():
            self._rows += 1 + pack.end - pack.first
            info = _info(pack)
            known = self._packs.setdefault(pack.id, info)
            if known is info:
                damaged = self.damage.get(pack.id)
                if damaged is not None:
                    self._note_damaged(pack)
                view.believe(pack, BELIEVED if damaged is None else DAMAGED)
                self._blobs += info.blob_count
        return packs is not None

    def _note_damaged(self, pack: LoggedPack) -> None:
        """Have `lookup` find a pack's damaged blobs last."""
        for row in range(pack.first, pack.end):
            blob, found = BlobId(pack.segment.id(row)), _Found(pack.id, pack.segment.words, row * ROW_WORDS)
            kind = BlobType(found.number(PACK) >> TYPE_BIT)
            if self.damage[pack.id].covers(blob, kind):
                self._damaged.setdefault((blob, kind), found.location(blob, kind))


class _Found:
    """A row that was found."""

    __slots__ = ("_at", "_words", "pack")

    def __init__(self, pack: PackId, words: memoryview, at: int) -> None:
        self.pack = pack
        self._words = words
        self._at = at

    def number(self, word: int) -> int:
        """One of its numbers."""
        return self._words[self._at + word]

    @property
    def row(self) -> tuple[int, int]:
        """Its segment, by a number of this process, and its number in there."""
        return id(self._words), self._at // ROW_WORDS

    @property
    def plaintext_bytes(self) -> int:
        """The length of the blob itself."""
        words, at = self._words, self._at
        return words[at + PLAIN_LENGTH] or words[at + LENGTH] - OVERHEAD_BYTES

    def location(self, blob: BlobId, kind: BlobType) -> BlobLocation:
        """Where the blob lies."""
        words, at = self._words, self._at
        entry = BlobEntry(
            id=blob,
            type=kind,
            offset=words[at + OFFSET],
            length=words[at + LENGTH],
            uncompressed_length=words[at + PLAIN_LENGTH],
        )
        return BlobLocation(self.pack, entry)


class View:
    """A log, and what a map thinks of the packs in it, by their numbers."""

    __slots__ = ("log", "packs", "trust")

    def __init__(self, log: IndexLog) -> None:
        self.log = log
        self.trust = bytearray()
        self.packs: dict[int, PackId] = {}

    def believe(self, pack: LoggedPack, trust: int) -> None:
        self.packs[pack.number] = pack.id
        self.trust.extend(bytes(max(0, pack.number + 1 - len(self.trust))))
        self.trust[pack.number] = trust


def _info(pack: LoggedPack) -> PackInfo:
    lengths = pack.segment.column(LENGTH, pack.first, pack.end)
    plain_lengths = pack.segment.column(PLAIN_LENGTH, pack.first, pack.end)
    size = sum(lengths) + tail_bytes(plain_lengths)
    return PackInfo(pack.id, size, len(lengths), sum(plain_lengths))
