"""What each snapshot and each source takes by itself, and what each week has added: in bytes as they are stored.

A blob belongs to a snapshot alone if no other one refers to it, and to a source alone if no snapshot of another source
does: so much would be free without it. It was added in the week of the oldest snapshot that refers to it.

Each tree is gone through at most three times: when it is met first, when a second snapshot is found to have it, and
when a second source is. What belongs to several already can tell nothing new below.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple

from holdfast.format.index import BlobType
from holdfast.ids import BlobId, SnapshotId, from_hex
from holdfast.repository.session import HeldRepository
from holdfast.repository.snapshots import StoredSnapshot
from holdfast.retention.groups import Group, grouped
from holdfast.stats.trees import entry_of
from holdfast.units import NS_PER_S

_SEVERAL: Final = -1
_WEEK: Final = timedelta(days=7)
_DAY_NS: Final = 86_400 * NS_PER_S
_SPAN_NS: Final = 28 * _DAY_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotShare:
    """A snapshot: what only it has, and what was not there before it, in bytes as stored."""

    stored: StoredSnapshot
    unique_bytes: int
    added_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceShare:
    """The snapshots of one source (retention/groups.py), and what only they have, in bytes as stored.

    added_per_week: by those of the four weeks before the newest of all, but for the first; None where that is no day.
    """

    source: Group
    snapshots: int
    unique_bytes: int
    added_per_week: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """What the snapshots of one week have added. monday: its first day, in UTC."""

    monday: date
    snapshots: int
    added_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """All of it: snapshots oldest first, sources in their order, weeks from the first to the last without a gap."""

    snapshots: tuple[SnapshotShare, ...]
    sources: tuple[SourceShare, ...]
    weeks: tuple[Week, ...]


class _Owner(NamedTuple):
    """The first snapshot that has a blob (its number), the only one and the only source that have it, or _SEVERAL."""

    first: int
    snapshot: int
    source: int


def reckon_shares(held: HeldRepository, snapshots: Sequence[StoredSnapshot]) -> Shares:
    """Go through these snapshots, which must be all of the repository, oldest first.

    Raises:
        BlobMissingError, StoredFileMissingError, CorruptFileError: something that is to be counted is not there.
    """
    sources = grouped(snapshots)
    numbers = {stored.id: number for number, those in enumerate(sources.values()) for stored in those}
    owners = _Owners(held)
    for number, stored in enumerate(snapshots):
        owners.add(BlobId(from_hex(stored.snapshot.tree)), number, numbers[stored.id])
    added, alone, of_source = owners.sums()
    by_id = {stored.id: added[number] for number, stored in enumerate(snapshots)}
    return Shares(
        snapshots=tuple(
            SnapshotShare(stored=stored, unique_bytes=alone[number], added_bytes=added[number])
            for number, stored in enumerate(snapshots)
        ),
        sources=tuple(
            SourceShare(
                source=source,
                snapshots=len(those),
                unique_bytes=of_source[number],
                added_per_week=_growth(those, by_id, snapshots[-1].time_ns),
            )
            for number, (source, those) in enumerate(sources.items())
        ),
        weeks=_weeks(snapshots, added),
    )


def _growth(those: Sequence[StoredSnapshot], added: Mapping[SnapshotId, int], newest_ns: int) -> int | None:
    """What a source adds in a week, by its snapshots of the last four; the first one is where the span begins."""
    recent = [stored for stored in those if stored.time_ns >= newest_ns - _SPAN_NS]
    span_ns = newest_ns - recent[0].time_ns if recent else 0
    if span_ns < _DAY_NS:
        return None
    return sum(added[stored.id] for stored in recent[1:]) * 7 * _DAY_NS // span_ns


class _Owners:
    """The owners of all blobs, as snapshots are added one after the other, the oldest first."""

    def __init__(self, held: HeldRepository) -> None:
        self._held = held
        self._owners: dict[BlobType, dict[BlobId, _Owner]] = {kind: {} for kind in BlobType}
        self._known: dict[_Owner, _Owner] = {}
        """Each owner once: there are few, and a blob has none for itself."""

    def add(self, root: BlobId, snapshot: int, source: int) -> None:
        """Go through a snapshot."""
        pending = [root]
        while pending:
            tree = pending.pop()
            if not self._note(tree, BlobType.TREE, snapshot, source):
                continue
            for node in self._held.loader.load_tree(tree):
                if node.subtree_id is not None:
                    pending.append(node.subtree_id)
                for blob in node.content_ids:
                    self._note(blob, BlobType.DATA, snapshot, source)

    def sums(self) -> tuple[Counter[int], Counter[int], Counter[int]]:
        """Bytes by the first snapshot that has them, by the only one, and by the only source."""
        added: Counter[int] = Counter()
        alone: Counter[int] = Counter()
        of_source: Counter[int] = Counter()
        for kind, owners in self._owners.items():
            for blob, owner in owners.items():
                size = entry_of(self._held, blob, kind).length
                added[owner.first] += size
                alone[owner.snapshot] += size
                of_source[owner.source] += size
        return added, alone, of_source

    def _note(self, blob: BlobId, kind: BlobType, snapshot: int, source: int) -> bool:
        """Note that a snapshot has a blob; whether that tells anything new."""
        owners = self._owners[kind]
        known = owners.get(blob)
        if known is None:
            owner = _Owner(snapshot, snapshot, source)
        else:
            owner = _Owner(
                known.first,
                known.snapshot if known.snapshot == snapshot else _SEVERAL,
                known.source if known.source == source else _SEVERAL,
            )
            if owner == known:
                return False
        owners[blob] = self._known.setdefault(owner, owner)
        return True


def _weeks(snapshots: Sequence[StoredSnapshot], added: Counter[int]) -> tuple[Week, ...]:
    counts: Counter[date] = Counter()
    sizes: Counter[date] = Counter()
    for number, stored in enumerate(snapshots):
        monday = _monday(stored.time_ns)
        counts[monday] += 1
        sizes[monday] += added[number]
    weeks: list[Week] = []
    if not counts:
        return ()
    monday = min(counts)
    while monday <= max(counts):
        weeks.append(Week(monday=monday, snapshots=counts[monday], added_bytes=sizes[monday]))
        monday += _WEEK
    return tuple(weeks)


def _monday(time_ns: int) -> date:
    day = datetime.fromtimestamp(time_ns // NS_PER_S, UTC).date()
    return day - timedelta(days=day.weekday())
