"""Sizes tell what snapshots take in the repository: together, and each one alone, as bytes of stored blobs.

Each blob is counted by the row that the index has for it, 4 bytes for each blob, and no id is kept. A tree that is
known to be shared is not looked into again, so no tree is read more than twice, however many snapshots there are.
What only an unreadable tree would lead to is not counted.
"""

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from holdfast.errors import IntegrityError
from holdfast.format.index import BlobType
from holdfast.ids import BlobId, SnapshotId, from_hex
from holdfast.repository.session import HeldRepository
from holdfast.repository.snapshots import StoredSnapshot

_NOBODY: Final = 0
_SHARED: Final = 0xFFFF_FFFF
_LOOKED_BACK: Final = 30


class Usage:
    """Which snapshot needs which blob, as far as they were added."""

    def __init__(self, held: HeldRepository, check: Callable[[], None] = lambda: None) -> None:
        """check: called for each tree; may raise to end it."""
        self._held = held
        self._check = check
        self._owners: dict[int, array[int]] = {}
        self._alone: list[int] = [0]
        """Bytes that only the snapshot of this number needs; number 0 is nobody's."""

    def add(self, stored: StoredSnapshot) -> int:
        """Add a snapshot; how many bytes it needs beyond those that were added before."""
        number = len(self._alone)
        self._alone.append(0)
        pending = [BlobId(from_hex(stored.snapshot.tree))]
        while pending:
            self._check()
            tree = pending.pop()
            if not self._claim(tree, BlobType.TREE, number):
                continue
            try:
                nodes = self._held.loader.load_tree(tree)
            except IntegrityError:
                continue
            for node in nodes:
                if node.subtree_id is not None:
                    pending.append(node.subtree_id)
                for text in node.content or ():
                    self._claim(bytes.fromhex(text), BlobType.DATA, number)
        return self._alone[number]

    def alone(self, number: int) -> int:
        """How many bytes only the snapshot needs that was added as this one, counted from 1."""
        return self._alone[number]

    def _claim(self, blob: bytes, kind: BlobType, number: int) -> bool:
        """Note who needs a blob; whether that was news, so that what it leads to must be noted, too."""
        found = self._held.index.row_of(blob, kind)
        if found is None:
            return False
        segment, row, length = found
        owners = self._owners.setdefault(segment, array("I"))
        if row >= len(owners):
            owners.frombytes(bytes((row + 1 + row // 8 - len(owners)) * owners.itemsize))
        owner = owners[row]
        if owner in (number, _SHARED):
            return False
        if owner == _NOBODY:
            owners[row] = number
            self._alone[number] += length
        else:
            owners[row] = _SHARED
            self._alone[owner] -= length
        return True


def alone_and_together(
    held: HeldRepository,
    staying: Sequence[StoredSnapshot],
    going: Sequence[StoredSnapshot],
    check: Callable[[], None] = lambda: None,
) -> tuple[dict[SnapshotId, int], int]:
    """For each of all snapshots the bytes that no other one needs: what forgetting it alone would free; and the bytes
    that only those which go need together."""
    usage = Usage(held, check)
    for stored in staying:
        usage.add(stored)
    together = sum(usage.add(stored) for stored in going)
    snapshots = (*staying, *going)
    return {stored.id: usage.alone(number) for number, stored in enumerate(snapshots, start=1)}, together


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """About how many bytes a group takes: a base, what each snapshot adds to it, and what one to come will add."""

    base_bytes: int = 0
    added_bytes: Mapping[SnapshotId, int] = field(default_factory=dict)
    each_bytes: int = 0

    def of(self, snapshot_id: SnapshotId) -> int:
        """What a snapshot adds, one of today or to come."""
        return self.added_bytes.get(snapshot_id, self.each_bytes)


NO_GROWTH: Final = Growth()


def growth_of(held: HeldRepository, snapshots: Sequence[StoredSnapshot]) -> Growth:
    """How a group grows: each snapshot adds what it needs beyond the newer ones; one to come, the middle one of what
    the newest of these add."""
    newest_first = sorted(snapshots, key=lambda stored: (-stored.time_ns, stored.id))
    usage = Usage(held)
    added = {stored.id: usage.add(stored) for stored in newest_first}
    if not newest_first:
        return NO_GROWTH
    lately = sorted([*added.values()][1 : _LOOKED_BACK + 1])
    each_bytes = lately[len(lately) // 2] if lately else 0
    newest = newest_first[0].id
    return Growth(
        base_bytes=added[newest] - each_bytes,
        added_bytes={**added, newest: each_bytes},
        each_bytes=each_bytes,
    )
