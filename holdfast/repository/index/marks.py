"""Blobs of a map are marked, one byte for each row of its logs: which are used, by whatever goes through snapshots.

The map has each blob's id already, so a set of a million blobs takes a megabyte and not a hundred. A blob that several
packs hold is marked in one of them, the one that a search meets first; the others count as copies that nobody needs. A
copy that is marked as damaged (damage.py) is taken where there is no other.

Packs can be left out (`without`): then only copies outside of them count, and what has none is `missing`.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Final, NamedTuple

from holdfast.format.index import BlobType
from holdfast.ids import ID_BYTES, BlobId, PackId
from holdfast.repository.index.log import (
    LENGTH,
    NEXT,
    PACK,
    PACK_NUMBERS,
    PLAIN_LENGTH,
    ROW_WORDS,
    TYPE_BIT,
    LoggedPack,
    Segment,
    bucket_of,
)
from holdfast.repository.index.map import BELIEVED, IndexMap, View

_ROW_BYTES: Final = 4 * ROW_WORDS


class PackUse(NamedTuple):
    """How much of a pack is marked. used_bytes: sealed blobs; size_bytes: the file. kind: None where types are mixed.

    plain: it holds a blob that is not compressed.
    """

    id: PackId
    kind: BlobType | None
    blobs: int
    used: int
    size_bytes: int
    used_bytes: int
    plain: bool


class BlobMarks:
    """The marks. One thread at a time; others may add to the map at the same time, which `refresh` takes notice of."""

    def __init__(self, index: IndexMap, without: Collection[PackId] = (), *, sound: bool = False) -> None:
        """without: packs whose copies do not count. sound: nor do damaged copies, in any pack."""
        self._index = index
        self._sound = sound
        self._without = frozenset(without)
        self._marks: dict[tuple[int, int], bytearray] = {}
        self._tables: list[tuple[View, bytearray, list[tuple[Segment, bytearray]]]] = []
        self.refresh()

    def refresh(self) -> None:
        """See the packs that the map has come to know."""
        self._tables = []
        for number, view in enumerate(self._index.views):
            trust = bytearray(view.trust)
            for pack_number, pack in view.packs.items():
                if pack in self._without:
                    trust[pack_number] = 0
            segments = [
                (segment, self._marks.setdefault((number, at), bytearray(segment.mask * 2 + 2)))
                for at, segment in enumerate(view.log.segments)
            ]
            self._tables.append((view, trust, segments))
        self._fast = [
            (trust, len(trust), segment.heads, segment.mask, segment.rows, segment.words, marks)
            for _, trust, segments in self._tables
            for segment, marks in segments
        ]

    def let_count(self, packs: Collection[PackId]) -> None:
        """Have the copies in these packs count from now on."""
        self._without = self._without.difference(packs)
        self.refresh()

    def mark(self, blobs: Iterable[bytes], kind: BlobType) -> tuple[list[bytes], list[bytes]]:
        """Mark blobs; those that were not marked before, and those that are missing."""
        new: list[bytes] = []
        missing: list[bytes] = []
        first_bytes, tables = int.from_bytes, self._fast
        for blob in blobs:
            # as `bucket_of`; a call for each blob would take a third of it all
            bucket = first_bytes(blob[:4], "little")
            for trust, known, heads, mask, rows, words, marks in tables:  # noqa: B007 -- `marks` is wanted below
                row = heads[bucket & mask]
                while row:
                    at = row * _ROW_BYTES
                    if rows[at : at + ID_BYTES] == blob:
                        number = words[row * ROW_WORDS + PACK]
                        pack = number & PACK_NUMBERS
                        if number >> TYPE_BIT == kind and pack < known and trust[pack] == BELIEVED:
                            break
                    row = words[row * ROW_WORDS + NEXT]
                if row:
                    break
            else:
                found = self._damaged_place(blob, kind)
                if found is None:
                    missing.append(blob)
                    continue
                marks, row = found
            if not marks[row]:
                marks[row] = 1
                new.append(blob)
        return new, missing

    def uses(self) -> Iterator[PackUse]:
        """How much of each pack is marked."""
        for pack, marks in self._packs():
            info = self._index.pack(pack.id)
            if info is None:
                continue
            marked = marks[pack.first : pack.end]
            used = len(marked) - marked.count(0)
            lengths = pack.segment.column(LENGTH, pack.first, pack.end)
            if used == len(marked):
                used_bytes = sum(lengths)
            else:
                used_bytes = sum(length for length, is_used in zip(lengths, marked, strict=True) if is_used)
            kinds = {number >> TYPE_BIT for number in pack.segment.column(PACK, pack.first, pack.end)}
            yield PackUse(
                id=pack.id,
                kind=BlobType(kinds.pop()) if len(kinds) == 1 else None,
                blobs=len(marked),
                used=used,
                size_bytes=info.size_bytes,
                used_bytes=used_bytes,
                plain=0 in pack.segment.column(PLAIN_LENGTH, pack.first, pack.end),
            )

    def marked_in(self, packs: Collection[PackId]) -> Iterator[tuple[PackId, list[tuple[BlobId, BlobType]]]]:
        """The marked blobs of these packs, by offset."""
        for pack, marks in self._packs():
            if pack.id in packs:
                segment = pack.segment
                yield (
                    pack.id,
                    [
                        (BlobId(segment.id(row)), BlobType(segment.words[row * ROW_WORDS + PACK] >> TYPE_BIT))
                        for row in range(pack.first, pack.end)
                        if marks[row]
                    ],
                )

    def marked(self, kind: BlobType) -> Iterator[bytes]:
        """The ids of the blobs of one type that are marked, in any order."""
        for _, _, segments in self._tables:
            for segment, marks in segments:
                row = marks.find(1)
                while row >= 0:
                    if segment.words[row * ROW_WORDS + PACK] >> TYPE_BIT == kind:
                        yield segment.id(row)
                    row = marks.find(1, row + 1)

    def _packs(self) -> Iterator[tuple[LoggedPack, bytearray]]:
        """The packs that the map believes, each once, with the marks of the segment that it lies in."""
        for view, trust, segments in self._tables:
            by_segment = {id(segment): marks for segment, marks in segments}
            for pack in view.log.all_packs():
                if pack.number < len(trust) and view.trust[pack.number] and id(pack.segment) in by_segment:
                    yield pack, by_segment[id(pack.segment)]

    def _damaged_place(self, blob: bytes, kind: int) -> tuple[bytearray, int] | None:
        """Where the mark of a blob is that lies in packs with marks of damage alone."""
        bucket = bucket_of(blob)
        damaged: tuple[bytearray, int] | None = None
        for view, trust, segments in self._tables:
            for segment, marks in segments:
                rows, words = segment.rows, segment.words
                row = segment.heads[bucket & segment.mask]
                while row:
                    at = row * _ROW_BYTES
                    number = words[row * ROW_WORDS + PACK]
                    if rows[at : at + ID_BYTES] == blob and number >> TYPE_BIT == kind:
                        number &= PACK_NUMBERS
                        if number < len(trust) and trust[number]:
                            covers = self._index.damage[view.packs[number]].covers
                            if not covers(BlobId(blob), BlobType(kind)):
                                return marks, row
                            if not self._sound:
                                damaged = marks, row
                    row = words[row * ROW_WORDS + NEXT]
        return damaged
