"""A compact table from 32-byte ids to row numbers: sorted ids, row numbers beside them, and a table of prefixes.

The ids lie end to end in one byte array, 36 bytes per entry with the row number. The first bits of an id lead through
the prefix table to the few entries that begin so; `find` on the byte array then does the comparing in C. Ids are
hashes, so the prefixes are evenly filled; if somebody makes them uneven, a lookup gets slower and stays right.
"""

import struct
import sys
from array import array
from bisect import bisect_left
from collections.abc import Mapping
from typing import Final

from holdfast.ids import ID_BYTES

_ROW: Final = struct.Struct(">I")
_RECORD_BYTES: Final = ID_BYTES + _ROW.size
_PARTITIONS: Final = 256
_PARTITION_BITS: Final = 8
_PREFIX_BITS: Final = 24
_MAX_BITS: Final = 20
_BUCKET_BITS: Final = 3
"""About 2^3 entries share a prefix."""


class IndexTable:
    """Ids and their rows. Never changes."""

    __slots__ = ("_ids", "_rows", "_shift", "_starts")

    def __init__(self, ids: bytes | bytearray, rows: "array[int]", starts: "array[int]", bits: int) -> None:
        self._ids = ids
        self._rows = rows
        self._starts = starts
        self._shift = _PREFIX_BITS - bits

    @classmethod
    def empty(cls) -> "IndexTable":
        """A table without entries."""
        return cls(b"", array("I"), array("I", bytes(4 * (_PARTITIONS + 1))), _PARTITION_BITS)

    def __len__(self) -> int:
        return len(self._rows)

    def find(self, key: bytes) -> int:
        """The row of an id, or -1."""
        if not self._ids:
            return -1
        prefix = int.from_bytes(key[:3], "big") >> self._shift
        end = self._starts[prefix + 1] * ID_BYTES
        position = self._ids.find(key, self._starts[prefix] * ID_BYTES, end)
        while position % ID_BYTES and position > 0:
            position = self._ids.find(key, position + 1, end)  # a hit across two entries is none
        return -1 if position < 0 else self._rows[position // ID_BYTES]

    def records(self, partition: int) -> list[bytes]:
        """The entries whose ids begin with the byte `partition`, each as id and big-endian row."""
        step = len(self._starts) // _PARTITIONS
        first, end = self._starts[partition * step], self._starts[(partition + 1) * step]
        return [
            bytes(self._ids[at * ID_BYTES : (at + 1) * ID_BYTES]) + _ROW.pack(self._rows[at])
            for at in range(first, end)
        ]


class TableBuilder:
    """Collects entries and merges them with those of an older table; of equal ids the lowest row stays.

    Entries are first spread over 256 partitions by their first byte, so that only one partition at a time exists as
    Python objects.
    """

    def __init__(self, older: IndexTable) -> None:
        self._older = older
        self._partitions = [bytearray() for _ in range(_PARTITIONS)]
        self._count = len(older)

    def add_run(self, ids: bytes, first_row: int) -> None:
        """Add ids that lie end to end, with consecutive rows."""
        count = len(ids) // ID_BYTES
        rows = array("I", range(first_row, first_row + count))
        if sys.byteorder == "little":
            rows.byteswap()
        partitions = self._partitions
        for (key,), (row,) in zip(
            struct.iter_unpack("32s", ids), struct.iter_unpack("4s", rows.tobytes()), strict=True
        ):
            partitions[key[0]] += key + row
        self._count += count

    def add_dictionary(self, rows: Mapping[bytes, int]) -> None:
        """Add ids with their rows."""
        for key, row in rows.items():
            self._partitions[key[0]] += key + _ROW.pack(row)
        self._count += len(rows)

    def build(self) -> IndexTable:
        """The merged table. The builder is used up."""
        bits = max(_PARTITION_BITS, min(_MAX_BITS, self._count.bit_length() - _BUCKET_BITS))
        ids = bytearray(self._count * ID_BYTES)  # grown bit by bit it would keep a tenth in reserve
        rows = array("I")
        starts = array("I")
        for partition in range(_PARTITIONS):
            fresh = self._partitions[partition]
            self._partitions[partition] = bytearray()
            records = self._older.records(partition)
            records += [record for (record,) in struct.iter_unpack(f"{_RECORD_BYTES}s", fresh)]
            records.sort()
            keys = _without_duplicates(records)
            base = len(rows)
            buckets = 1 << (bits - _PARTITION_BITS)
            for bucket in range(partition * buckets, (partition + 1) * buckets):
                boundary = (bucket << (_PREFIX_BITS - bits)).to_bytes(3, "big")
                starts.append(base + bisect_left(keys, boundary))
            ids[base * ID_BYTES : (base + len(keys)) * ID_BYTES] = b"".join(keys)
            rows.frombytes(b"".join([record[ID_BYTES:] for record in records]))
        starts.append(len(rows))
        del ids[len(rows) * ID_BYTES :]
        if sys.byteorder == "little":
            rows.byteswap()
        return IndexTable(ids, rows, starts, bits)


def _without_duplicates(records: list[bytes]) -> list[bytes]:
    """The ids of sorted records; removes from `records` all but the first of those that share an id."""
    keys = [record[:ID_BYTES] for record in records]
    if len(set(keys)) == len(keys):
        return keys
    kept = [at for at in range(len(keys)) if at == 0 or keys[at] != keys[at - 1]]
    records[:] = [records[at] for at in kept]
    return [keys[at] for at in kept]
