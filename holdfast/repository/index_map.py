"""Where each blob lies: from a blob's id to its pack, offset and lengths, in about 50 bytes per blob.

One table per blob type (index_table.py). What is added bit by bit is kept in a small dictionary over the table, and
merged into it when that has grown to a fair part of it. Of several packs that hold a blob the first that was added
counts.

A blob whose pack is marked as damaged (damage.py) is none that the repository has: `has` says no, so that a backup
stores it again. `lookup` still finds it where there is no other copy: trying to read it can only help.

Reading needs no lock, also while another thread adds: a reader takes table and dictionary in one step, neither loses
an entry afterwards, and an entry is made visible only when all that it points to is in place.
"""

import threading
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from holdfast.crypto.sealing import OVERHEAD_BYTES
from holdfast.format.index import BlobEntry, BlobType, IndexPack
from holdfast.format.index_columns import PackColumns, columns_of
from holdfast.ids import ID_BYTES, BlobId, PackId
from holdfast.repository.damage import BlobKey, Damage, DamagedPack
from holdfast.repository.index_table import IndexTable, TableBuilder

_MERGE_AT: Final = 1 << 16
_MERGE_SHARE: Final = 4
"""The dictionary is merged at this many entries, or at a quarter of the table's, whichever is more."""


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

    def __init__(self, damage: Damage | None = None) -> None:
        self.damage: Damage = damage or {}
        self._damaged: dict[BlobKey, BlobLocation] = {}
        self._lock = threading.Lock()
        self._data = _TypeMap(BlobType.DATA)
        self._tree = _TypeMap(BlobType.TREE)
        self._packs: dict[PackId, PackInfo] = {}
        self._numbers: list[PackId] = []
        self._conflicts: list[PackId] = []

    def __len__(self) -> int:
        """How many blobs there are; an id that is both data and tree counts twice."""
        return len(self._data) + len(self._tree)

    def __contains__(self, blob: BlobId) -> bool:
        return self._data.find(blob) >= 0 or self._tree.find(blob) >= 0

    def has(self, blob: BlobId, blob_type: BlobType) -> bool:
        """Whether there is a blob of that id and type, in a pack that is not known to be damaged."""
        return (self._tree if blob_type else self._data).find(blob) >= 0

    def data_pack(self, blob: bytes) -> PackId | None:
        """The pack that holds a data blob; None where `has` is not true of it."""
        row = self._data.find(blob)
        return None if row < 0 else self._numbers[self._data.pack_number(row)]

    def has_content(self, content: Iterable[str]) -> bool:
        """Whether `has` would be true of every data blob of a node's content, which is in hex."""
        find = self._data.find
        for text in content:  # noqa: SIM110 - a generator for each file would take as long as the search
            if find(bytes.fromhex(text)) < 0:
                return False
        return True

    def measure(self, content: Sequence[str], packs: set[PackId]) -> int | None:
        """How many bytes a node's content has, which is in hex; None where `has` is not true of all its blobs.

        packs: gets those that hold them.
        """
        data = self._data
        size = 0
        for text in content:
            row = data.find(bytes.fromhex(text))
            if row < 0:
                return None
            packs.add(self._numbers[data.pack_number(row)])
            size += data.plain_lengths[row] or data.lengths[row] - OVERHEAD_BYTES
        return size

    def lookup(self, blob: BlobId, blob_type: BlobType | None = None) -> BlobLocation | None:
        """Where a blob lies; without a type, data before trees."""
        if blob_type is not BlobType.TREE:
            row = self._data.find(blob)
            if row >= 0:
                return self._location(self._data, blob, row)
        if blob_type is not BlobType.DATA:
            row = self._tree.find(blob)
            if row >= 0:
                return self._location(self._tree, blob, row)
        return self._damaged_location(blob, blob_type) if self._damaged else None

    def describes(self, pack: PackId, entry: BlobEntry) -> bool:
        """Whether the index has a blob of a pack where the pack itself says it lies (or has it from another pack)."""
        rows = self._tree if entry.type else self._data
        row = rows.find(entry.id)
        if row < 0:
            return False
        return self._numbers[rows.pack_number(row)] != pack or (
            rows.offsets[row] == entry.offset
            and rows.lengths[row] == entry.length
            and rows.plain_lengths[row] == entry.uncompressed_length
        )

    def add(self, pack: IndexPack) -> None:
        """Add one pack; one that is there already changes nothing."""
        self.add_many([pack])

    def add_many(self, packs: Iterable[IndexPack]) -> None:
        """Add packs, few or many."""
        self.load(columns_of(pack) for pack in packs)

    def load(self, packs: Iterable[PackColumns]) -> None:
        """Add packs as they come from index files. All of them become visible at the end, or none if it fails."""
        with self._lock:
            added: dict[PackId, PackInfo] = {}
            self._data.begin()
            self._tree.begin()
            for pack in packs:
                expanded = sum(pack.uncompressed_lengths)
                info = PackInfo(pack.id, pack.size_bytes, len(pack.lengths), expanded)
                known = self._packs.get(pack.id) or added.get(pack.id)
                if known is None:
                    added[pack.id] = info
                    self._numbers.append(pack.id)
                    self._append(pack, len(self._numbers) - 1)
                elif known != info:
                    self._conflicts.append(pack.id)
            self._data.publish()
            self._tree.publish()
            self._packs.update(added)

    def has_pack(self, pack: PackId) -> bool:
        """Whether the index describes a pack."""
        return pack in self._packs

    def pack(self, pack: PackId) -> PackInfo | None:
        """What the index says about a pack."""
        return self._packs.get(pack)

    def packs(self) -> Iterator[PackInfo]:
        """All packs, as they are now."""
        return iter(list(self._packs.values()))

    def conflicts(self) -> list[PackId]:
        """Packs that two index files describe differently; the first description counts."""
        return list(self._conflicts)

    def _damaged_location(self, blob: BlobId, blob_type: BlobType | None) -> BlobLocation | None:
        types = BlobType if blob_type is None else (blob_type,)
        found = (self._damaged.get((blob, kind)) for kind in types)
        return next((location for location in found if location is not None), None)

    def _append(self, pack: PackColumns, number: int) -> None:
        damaged = self.damage.get(pack.id)
        if damaged is not None:
            self._append_damaged(pack, number, damaged)
            return
        kind = pack.single_type
        if kind is not None:
            (self._tree if kind else self._data).append(pack, number, range(len(pack.lengths)))
            return
        for target in (self._data, self._tree):
            chosen = [i for i, blob_type in enumerate(pack.types) if blob_type is target.blob_type]
            if chosen:
                target.append(pack, number, chosen)

    def _append_damaged(self, pack: PackColumns, number: int, damaged: DamagedPack) -> None:
        """The sound blobs as ever; the others only where `lookup` finds them last."""
        sound: dict[BlobType, list[int]] = {BlobType.DATA: [], BlobType.TREE: []}
        for at, kind in enumerate(pack.types):
            blob = BlobId(pack.ids[at * ID_BYTES : (at + 1) * ID_BYTES])
            if not damaged.covers(blob, kind):
                sound[kind].append(at)
                continue
            entry = BlobEntry(
                id=blob,
                type=kind,
                offset=pack.offsets[at],
                length=pack.lengths[at],
                uncompressed_length=pack.uncompressed_lengths[at],
            )
            self._damaged.setdefault((blob, kind), BlobLocation(pack.id, entry))
        for target in (self._data, self._tree):
            if sound[target.blob_type]:
                target.append(pack, number, sound[target.blob_type])

    def _location(self, rows: "_TypeMap", blob: BlobId, row: int) -> BlobLocation:
        entry = BlobEntry(
            id=blob,
            type=rows.blob_type,
            offset=rows.offsets[row],
            length=rows.lengths[row],
            uncompressed_length=rows.plain_lengths[row],
        )
        return BlobLocation(self._numbers[rows.pack_number(row)], entry)


class _TypeMap:
    """The blobs of one type. Rows are only ever appended; what finds them is replaced as a whole."""

    def __init__(self, blob_type: BlobType) -> None:
        self.blob_type = blob_type
        self.offsets = array("I")
        self.lengths = array("I")
        self.plain_lengths = array("I")
        self._first_rows = array("I")
        self._pack_numbers = array("I")
        self._found: tuple[IndexTable, dict[bytes, int]] = (IndexTable.empty(), {})
        self._pending: list[tuple[int, bytes]] = []
        self._pending_blobs = 0

    def __len__(self) -> int:
        table, recent = self._found
        return len(table) + len(recent)

    def find(self, blob: bytes) -> int:
        """The row of a blob, or -1."""
        table, recent = self._found
        row = recent.get(blob, -1)
        return row if row >= 0 else table.find(blob)

    def pack_number(self, row: int) -> int:
        """The number of the pack that a row belongs to."""
        return self._pack_numbers[bisect_right(self._first_rows, row) - 1]

    def begin(self) -> None:
        """Forget what an addition that failed has left; its rows stay, and nothing leads to them."""
        self._pending = []
        self._pending_blobs = 0

    def append(self, pack: PackColumns, number: int, chosen: range | list[int]) -> None:
        """Append the rows of the chosen blobs of a pack; `publish` makes them visible."""
        first = len(self.offsets)
        self._first_rows.append(first)
        self._pack_numbers.append(number)
        if isinstance(chosen, range):
            self.offsets.extend(pack.offsets)
            self.lengths.extend(pack.lengths)
            self.plain_lengths.extend(pack.uncompressed_lengths)
            ids = pack.ids
        else:
            self.offsets.extend([pack.offsets[i] for i in chosen])
            self.lengths.extend([pack.lengths[i] for i in chosen])
            self.plain_lengths.extend([pack.uncompressed_lengths[i] for i in chosen])
            ids = b"".join([pack.ids[i * ID_BYTES : (i + 1) * ID_BYTES] for i in chosen])
        self._pending.append((first, ids))
        self._pending_blobs += len(chosen)

    def publish(self) -> None:
        """Let readers find the appended rows."""
        table, recent = self._found
        pending, count = self._pending, self._pending_blobs
        self.begin()
        if len(recent) + count < max(_MERGE_AT, len(table) // _MERGE_SHARE):
            for first, ids in pending:
                for position in range(0, len(ids), ID_BYTES):
                    blob = ids[position : position + ID_BYTES]
                    if table.find(blob) < 0:
                        recent.setdefault(blob, first + position // ID_BYTES)
            return
        builder = TableBuilder(table)
        builder.add_dictionary(recent)
        for first, ids in pending:
            builder.add_run(ids, first)
        self._found = (builder.build(), {})
