"""A calendar says which snapshots of a group will be there at the end of each month to come, and when each one goes.

The future is made of what the past was like: new snapshots come as often as the last ones did. Each day the policy is
applied to what there is by then. What protects snapshots now is taken to protect them for as long; a budget is not
reckoned with, because nobody knows how large the new ones will be.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from holdfast.format.snapshot import Snapshot
from holdfast.format.times import format_time
from holdfast.ids import SnapshotId, sha256
from holdfast.repository.snapshots import StoredSnapshot
from holdfast.retention.decision import decide
from holdfast.retention.groups import Group
from holdfast.retention.policy import Policy
from holdfast.retention.protection import Protections
from holdfast.units import NS_PER_S

_DAY_NS: Final = 86_400 * NS_PER_S
_HOUR_NS: Final = 3_600 * NS_PER_S
_MINUTE_NS: Final = 60 * NS_PER_S
_LOOKED_BACK: Final = 30
MONTHS: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """A month, "2026-12". there: how many snapshots at its end; made: how many were made in it. going: those of today
    that go in it."""

    name: str
    there: int = 0
    made: int = 0
    going: tuple[SnapshotId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """The months to come, the first one as far as it is left. every_ns: how often a snapshot is taken to be made.

    goes_ns: when each snapshot of today goes; one that is not in there stays for longer.
    """

    every_ns: int
    months: tuple[Month, ...]
    goes_ns: dict[SnapshotId, int]


def rhythm_ns(snapshots: Sequence[StoredSnapshot]) -> int:
    """How often snapshots were made lately: the middle one of the last intervals, in whole minutes, an hour at least;
    a day where there are none."""
    times = sorted(stored.time_ns for stored in snapshots)[-_LOOKED_BACK:]
    between = [later - earlier for earlier, later in pairwise(times) if later > earlier]
    if not between:
        return _DAY_NS
    middle_ns = sorted(between)[len(between) // 2]
    return max(_HOUR_NS, round(middle_ns / _MINUTE_NS) * _MINUTE_NS)


def calendar(
    group: Group,
    snapshots: Sequence[StoredSnapshot],
    policy: Policy,
    protections: Protections,
    now_ns: int,
) -> Calendar:
    """What becomes of a group in the next twelve months.

    Raises:
        UsageError: the policy would keep nothing.
    """
    believed = [stored for stored in snapshots if not protections.implausible(stored, now_ns)]
    every_ns = rhythm_ns(believed)
    newest = max(believed, key=lambda stored: stored.time_ns, default=None)
    today = {stored.id for stored in snapshots}
    present = list(snapshots)
    goes_ns: dict[SnapshotId, int] = {}
    names = _months(now_ns)
    there, made = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    going: dict[str, list[SnapshotId]] = {name: [] for name in names}
    due_ns = now_ns if newest is None else max(now_ns, newest.time_ns + every_ns)
    day_ns = now_ns
    while (name := format_time(day_ns)[:7]) in there:
        while due_ns <= day_ns:
            present.append(_like(newest, due_ns))
            made[name] += 1
            due_ns += every_ns
        decision = decide({group: present}, lambda _: policy, protections, day_ns)
        for verdict in decision.going:
            if verdict.stored.id in today:
                goes_ns[verdict.stored.id] = day_ns
                going[name].append(verdict.stored.id)
        present = [verdict.stored for verdict in decision.verdicts if verdict.stays]
        there[name] = len(present)
        day_ns += _DAY_NS
    months = tuple(
        Month(name=name, there=there[name], made=made[name], going=tuple(going[name])) for name in names
    )
    return Calendar(every_ns=every_ns, months=months, goes_ns=goes_ns)


def _months(now_ns: int) -> list[str]:
    """The month of now and the twelve after it."""
    year, month = (int(part) for part in format_time(now_ns)[:7].split("-"))
    found = [divmod(year * MONTHS + month - 1 + ahead, MONTHS) for ahead in range(MONTHS + 1)]
    return [f"{year:04d}-{month + 1:02d}" for year, month in found]


def _like(newest: StoredSnapshot | None, time_ns: int) -> StoredSnapshot:
    """A snapshot to come, as complete as the newest one is."""
    time = format_time(time_ns)
    last = Snapshot(tree="") if newest is None else newest.snapshot
    snapshot = Snapshot(time=time, tree=last.tree, hostname=last.hostname, paths=last.paths, tags=last.tags)
    return StoredSnapshot(id=SnapshotId(sha256(time.encode())), snapshot=snapshot, time_ns=time_ns)
