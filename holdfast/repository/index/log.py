"""A log holds what index files say, in memory that processes can share: records, only appended, and chains of blobs.

    segment       | heads: one row number for each bucket | rows: 52 bytes each, row 0 unused                       |
    rows          file  [pack  blob blob …] [pack  blob …]  file  [pack …] …

An index file never changes, because its name is the hash of its content; so what it says may be read by everybody and
for ever, whatever becomes of the file. Whom to believe is decided elsewhere (map.py): by the number of the pack.

A segment that is full is followed by one of four times its size (up to a limit), so nothing is ever moved or rebuilt,
and reading needs no lock: a row is complete before a chain leads to it, and every chain leads to lower rows only.
Appending needs one (`SharedIndex`). A file is in the log once `used` has passed all of its rows. A process that dies
before that leaves the segment's mark "being written"; what appends next leaves that segment as it is, and begins
another.
"""

import itertools
import mmap
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from holdfast.format.index import BlobType, PackColumns
from holdfast.ids import ID_BYTES, IndexId, PackId

ROW_WORDS: Final = 13
NEXT, PACK, OFFSET, LENGTH, PLAIN_LENGTH = range(8, 13)
"""Where in a row, in words of 32 bits, its numbers lie; the id comes first."""
TYPE_BIT: Final = 31
PACK_NUMBERS: Final = (1 << TYPE_BIT) - 1
"""A row's pack is a number from 1; its highest bit is the blob's type."""
_ROW: Final = struct.Struct("=32s5I")
_WORD_BYTES: Final = 4
_FIRST_ROWS: Final = 1 << 18
_MOST_ROWS: Final = 1 << 22
_GROWTH: Final = 4

HEADER_BYTES: Final = mmap.PAGESIZE
_OWNER: Final = slice(0, ID_BYTES)
_CLOSED, _PACKS, _SEGMENTS, _TOLD = range(4, 8)
_TABLE: Final = 8
_OFFSET, _ROWS, _USED, _BEING_WRITTEN = range(4)
_ENTRY_WORDS: Final = 4
_ENTRY: Final = struct.Struct("=4Q")
_HEADER_WORD_BYTES: Final = 8
_MOST_SEGMENTS: Final = (HEADER_BYTES // _HEADER_WORD_BYTES - _TABLE) // _ENTRY_WORDS

MapMemory = Callable[[int, int], mmap.mmap]
"""Maps, from an offset, so many bytes; both are multiples of a page. They are zeros at first."""
Appending = Callable[[], AbstractContextManager[bool]]


class Segment:
    """Rows, and the heads of half as many chains, mapped into this process; `rows` is a power of two."""

    __slots__ = ("heads", "mask", "rows", "words")

    def __init__(self, memory: mmap.mmap, rows: int) -> None:
        self.mask = rows // 2 - 1
        view = memoryview(memory)
        heads_bytes = rows // 2 * _WORD_BYTES
        self.heads = view[:heads_bytes].cast("I")
        self.rows = view[heads_bytes:]
        self.words = self.rows.cast("I")

    @staticmethod
    def size_bytes(rows: int) -> int:
        """What a segment takes, in whole pages."""
        size = rows // 2 * _WORD_BYTES + rows * _ROW.size
        return -(-size // mmap.PAGESIZE) * mmap.PAGESIZE

    def id(self, row: int) -> bytes:
        """The id of a row."""
        return bytes(self.rows[row * _ROW.size : row * _ROW.size + ID_BYTES])

    def column(self, word: int, first: int, end: int) -> list[int]:
        """One number of each of the rows from `first` to before `end`."""
        return self.words[first * ROW_WORDS + word : end * ROW_WORDS : ROW_WORDS].tolist()


class LoggedPack:
    """A pack's number, and where its blobs are: rows of a segment."""

    __slots__ = ("end", "first", "id", "number", "segment")

    def __init__(self, pack: PackId, number: int, segment: Segment, first: int, end: int) -> None:
        self.id = pack
        self.number = number
        self.segment = segment
        self.first = first
        self.end = end

    @property
    def columns(self) -> PackColumns:
        """What the index file said of it."""
        segment, first, end = self.segment, self.first, self.end
        return PackColumns(
            id=self.id,
            ids=b"".join([segment.id(row) for row in range(first, end)]),
            types=[BlobType(number >> TYPE_BIT) for number in segment.column(PACK, first, end)],
            offsets=segment.column(OFFSET, first, end),
            lengths=segment.column(LENGTH, first, end),
            uncompressed_lengths=segment.column(PLAIN_LENGTH, first, end),
        )


class IndexLog:
    """A log as one process sees it. Any number of threads may find; `catch_up` and `add` are for one at a time."""

    def __init__(self, map_memory: MapMemory, appending: Appending) -> None:
        """appending: a context in which nobody else appends; it gives false where that cannot be had."""
        self._map = map_memory
        self.appending = appending
        self._header_memory = map_memory(0, HEADER_BYTES)
        self._header = memoryview(self._header_memory).cast("Q")
        self._files: dict[IndexId, tuple[Segment, int, int]] = {}
        self._read: list[int] = []
        self.segments: list[Segment] = []

    @classmethod
    def private(cls) -> "IndexLog":
        """A log of this process alone."""
        return cls(_anonymous, lambda: nullcontext(enter_result=True))

    @staticmethod
    def begin(owner: bytes, header: mmap.mmap) -> None:
        """Make memory that is all zeros the log of an owner: 32 bytes."""
        header[_OWNER] = owner

    @staticmethod
    def is_open_for(owner: bytes, header: bytes) -> bool:
        """Whether this is the header of the owner's log, and that is not closed."""
        return header[_OWNER] == owner and not header[_CLOSED * _HEADER_WORD_BYTES]

    @property
    def row_count(self) -> int:
        """The rows that are in use."""
        return sum(self._entry(number, _USED) for number in range(self._header[_SEGMENTS]))

    def close(self) -> None:
        """Have nobody begin to use it: most of what is in it is of no use."""
        self._header[_CLOSED] = 1

    def news(self) -> tuple[int, int] | None:
        """How much has been said: how often `tell` was called, and how many files are in the log. None where it is
        closed: others may use another one by now."""
        self.catch_up()
        return None if self._header[_CLOSED] else (self._header[_TOLD], len(self._files))

    def added_since(self, files: int) -> Iterator[IndexId]:
        """The files of the log but the first so many."""
        return itertools.islice(self._files, files, None)

    def tell(self) -> None:
        """Have all that use the log look at the storage when they need it next: something is there that is not in the
        log. Of two that tell at once, one may go unheard."""
        self._header[_TOLD] += 1

    def catch_up(self) -> None:
        """See what others have appended."""
        for number in range(self._header[_SEGMENTS]):
            if number == len(self.segments):
                rows = self._entry(number, _ROWS)
                memory = self._map(self._entry(number, _OFFSET), Segment.size_bytes(rows))
                self.segments.append(Segment(memory, rows))
                self._read.append(1)
            segment, at = self.segments[number], self._read[number]
            used = self._entry(number, _USED)
            while at < used:
                end = at + 1 + segment.words[at * ROW_WORDS + LENGTH]
                self._files[IndexId(segment.id(at))] = (segment, at + 1, end)
                at = end
            self._read[number] = at

    def packs(self, index_id: IndexId) -> list[LoggedPack] | None:
        """The packs of an index file, or None where it is not in the log, or not to be seen whole yet."""
        if index_id not in self._files:
            self.catch_up()
        found = self._files.get(index_id)
        packs = None if found is None else list(_packs(*found))
        if packs is not None and not all(pack.number for pack in packs):
            return None  # seen before it was written: rows whose number is still 0 must not be believed
        return packs

    def all_packs(self) -> Iterator[LoggedPack]:
        """The packs of all files that were seen, whether they are believed or not."""
        for found in list(self._files.values()):
            yield from _packs(*found)

    def was_written(self, index_id: IndexId) -> bool:
        """Whether a process has put a file of the log there when it had just written it. One that has only read it may
        have done so long ago, and the file may have been removed since."""
        found = self._files.get(index_id)
        return found is not None and bool(found[0].words[(found[1] - 1) * ROW_WORDS + OFFSET])

    def add(self, index_id: IndexId, packs: Sequence[PackColumns], *, written: bool = False) -> bool:
        """Have a file in the log; false where there is no room, or others are appending all the time.

        written: see `was_written`.
        """
        with self.appending() as alone:
            if alone:
                self.catch_up()
            if not alone or index_id in self._files:
                return alone
            blobs = sum(len(pack.lengths) for pack in packs)
            number = self._segment_for(1 + len(packs) + blobs)
            if number is None:
                return False
            entry, header = _TABLE + number * _ENTRY_WORDS, self._header
            segment, at = self.segments[number], header[entry + _USED]
            header[entry + _BEING_WRITTEN] = 1
            _ROW.pack_into(segment.rows, at * _ROW.size, index_id, 0, 0, written, len(packs) + blobs, 0)
            at += 1
            for pack in packs:
                header[_PACKS] = pack_number = header[_PACKS] + 1
                _ROW.pack_into(segment.rows, at * _ROW.size, pack.id, 0, pack_number, 0, len(pack.lengths), 0)
                at = _append_blobs(segment, at + 1, pack, pack_number)
            header[entry + _USED] = at
            header[entry + _BEING_WRITTEN] = 0
            self.catch_up()
            return True

    def _segment_for(self, rows: int) -> int | None:
        """The number of the segment that takes so many rows more: the last one, or a new one; None if there is none."""
        last = self._header[_SEGMENTS] - 1
        offset, size = HEADER_BYTES, _FIRST_ROWS
        if last >= 0:
            capacity, used = self._entry(last, _ROWS), self._entry(last, _USED)
            if used + rows <= capacity and not self._entry(last, _BEING_WRITTEN):
                return last
            offset = self._entry(last, _OFFSET) + Segment.size_bytes(capacity)
            size = min(_GROWTH * capacity, _MOST_ROWS)
        if last + 1 == _MOST_SEGMENTS:
            return None
        while size < rows + 1:
            size *= 2
        entry = _TABLE + (last + 1) * _ENTRY_WORDS
        _ENTRY.pack_into(self._header_memory, entry * _HEADER_WORD_BYTES, offset, size, 1, 0)
        self._header[_SEGMENTS] = last + 2
        self.catch_up()
        return last + 1

    def _entry(self, segment: int, word: int) -> int:
        return self._header[_TABLE + segment * _ENTRY_WORDS + word]


def _append_blobs(segment: Segment, first: int, pack: PackColumns, number: int) -> int:
    """Append the blobs of a pack; the row after the last."""
    heads, rows, mask, write, size = segment.heads, segment.rows, segment.mask, _ROW.pack_into, _ROW.size
    row = first
    for (blob,), kind, offset, length, plain in zip(
        struct.iter_unpack("32s", pack.ids),
        pack.types,
        pack.offsets,
        pack.lengths,
        pack.uncompressed_lengths,
        strict=True,
    ):
        bucket = bucket_of(blob) & mask
        write(rows, row * size, blob, heads[bucket], number | kind << TYPE_BIT, offset, length, plain)
        heads[bucket] = row
        row += 1
    return row


def _anonymous(_offset: int, size: int) -> mmap.mmap:
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def bucket_of(blob: bytes) -> int:
    """What says in which bucket a blob is: the low bits of this. Ids are hashes already."""
    return int.from_bytes(blob[:4], "little")


def _packs(segment: Segment, first: int, end: int) -> Iterator[LoggedPack]:
    row = first
    while row < end:
        last = row + 1 + segment.words[row * ROW_WORDS + LENGTH]
        number = segment.words[row * ROW_WORDS + PACK]
        yield LoggedPack(PackId(segment.id(row)), number, segment, row + 1, last)
        row = last
