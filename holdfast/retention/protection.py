"""What protects a snapshot from a policy, whatever its rules say.

- *Floor*: of each group the newest complete, the newest verified and the newest drilled snapshot, and the full one that
  a differential which stays was compared with.
- *Holds*: a person's (holds.py), and rustic's `delete` in the snapshot itself: never, or not before a time.
- *Alarms*: what a source has from before an alarm of its guard (holds.py).
- *Implausible times*: a snapshot that is dated in the future, or before its repository was there, stays and counts for
  nothing, so it pushes no other one out. A person who wants it gone names it. A snapshot that
  says by `original` that it is a copy, or was changed, may be older than the repository.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from holdfast.format.tags import has_strategy, is_partial, source_of
from holdfast.format.times import parse_time
from holdfast.ids import SnapshotId, from_hex, is_hex_id, short, to_hex
from holdfast.repository.snapshots import MAX_SKEW_NS, StoredSnapshot, is_ahead
from holdfast.terms import Strategy

NEWEST_COMPLETE: Final = "newest complete one"
NEWEST_VERIFIED: Final = "newest verified one"
NEWEST_DRILLED: Final = "newest drilled one"
_NOT_SET: Final = "NotSet"
_AFTER: Final = "After"
_ZONE: Final = re.compile(r"\[[^\]]*\]$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """An alarm of a guard that no person has decided about: what the source has from before since_ns is held.

    paths: the source's, sorted, as snapshots list them: for snapshots that do not name their source.
    """

    host: str
    source: str
    paths: tuple[str, ...]
    since_ns: int

    def holds(self, stored: StoredSnapshot) -> bool:
        """Whether it is a snapshot of that source, from before."""
        snapshot = stored.snapshot
        if stored.time_ns > self.since_ns or snapshot.hostname != self.host:
            return False
        named = source_of(snapshot)
        return named == self.source if named else tuple(sorted(snapshot.paths or ())) == self.paths


@dataclass(frozen=True, slots=True, kw_only=True)
class Protections:
    """What is known beside the snapshots themselves.

    held: the reasons, by the ids of snapshots. verified, drilled: those of which all was read back, or restored, and
    found sound. A snapshot whose tags were changed since is meant as well (`original`). born_ns: when the repository
    was made, 0 where nobody knows.
    """

    held: Mapping[SnapshotId, str] = field(default_factory=dict)
    alarms: Sequence[Alarm] = ()
    verified: frozenset[SnapshotId] = frozenset()
    drilled: frozenset[SnapshotId] = frozenset()
    born_ns: int = 0

    def holding(self, stored: StoredSnapshot, now_ns: int) -> tuple[str, ...]:
        """Why nothing may remove this snapshot, not even by its id; empty where it may go."""
        found = [f"held: {reason}" for held, reason in self.held.items() if held in _names(stored)]
        found += [f"alarm: {alarm.source}" for alarm in self.alarms if alarm.holds(stored)]
        not_before_ns = _not_before(stored)
        if not_before_ns is None or not_before_ns >= now_ns:
            found.append("never to be deleted" if not_before_ns is None else "not to be deleted yet")
        return tuple(dict.fromkeys(found))

    def implausible(self, stored: StoredSnapshot, now_ns: int) -> str:
        """Why its time is not believed; empty where it is."""
        if is_ahead(stored, now_ns):
            return "dated in the future"
        if stored.time_ns < self.born_ns - MAX_SKEW_NS and stored.snapshot.original is None:
            return "dated before its repository"
        return ""

    def floor(self, newest_first: Sequence[StoredSnapshot]) -> dict[SnapshotId, list[str]]:
        """What no policy removes of a group, with the reasons."""
        found: dict[SnapshotId, list[str]] = {}
        complete = (stored for stored in newest_first if not is_partial(stored.snapshot))
        for reason, those in (
            (NEWEST_COMPLETE, complete),
            (NEWEST_VERIFIED, _proven(newest_first, self.verified)),
            (NEWEST_DRILLED, _proven(newest_first, self.drilled)),
        ):
            newest = next(those, None)
            if newest is not None:
                found.setdefault(newest.id, []).append(reason)
        return found


def is_due(stored: StoredSnapshot, now_ns: int) -> bool:
    """Whether the snapshot itself says that it is to go by now (rustic's `delete: After`)."""
    not_before_ns = _not_before(stored)
    return not_before_ns is not None and 0 < not_before_ns < now_ns


def needed_fulls(
    kept: Sequence[StoredSnapshot], newest_first: Sequence[StoredSnapshot]
) -> dict[SnapshotId, str]:
    """The newest full snapshot of a group if a differential that stays hangs on it: the next one will, too."""
    newest_full = next(
        (stored for stored in newest_first if has_strategy(stored.snapshot, Strategy.FULL)), None
    )
    if newest_full is None:
        return {}
    names = set(map(to_hex, _names(newest_full)))
    hangs = next(
        (
            stored
            for stored in kept
            if stored.snapshot.parent in names and has_strategy(stored.snapshot, Strategy.DIFFERENTIAL)
        ),
        None,
    )
    return {} if hangs is None else {newest_full.id: f"full one of differential {short(hangs.id)}"}


def _proven(
    newest_first: Sequence[StoredSnapshot], proven: frozenset[SnapshotId]
) -> Iterator[StoredSnapshot]:
    return (
        (stored for stored in newest_first if not proven.isdisjoint(_names(stored))) if proven else iter(())
    )


def _names(stored: StoredSnapshot) -> tuple[SnapshotId, ...]:
    """The ids that mean a snapshot: its own, and that of the one which it was made from by a change of tags."""
    original = stored.snapshot.original or ""
    return (stored.id, SnapshotId(from_hex(original))) if is_hex_id(original) else (stored.id,)


def _not_before(stored: StoredSnapshot) -> int | None:
    """When a snapshot may go by its own word, in ns since 1970: 0 at any time, None never. What cannot be understood
    is taken for never."""
    said = stored.snapshot.delete
    if said is None or said == _NOT_SET:
        return 0
    if isinstance(said, dict) and len(said) == 1 and isinstance(said.get(_AFTER), str):
        try:
            return parse_time(_ZONE.sub("", said[_AFTER]))
        except ValueError:
            return None
    return None
