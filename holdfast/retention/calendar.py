"""A calendar says which snapshots of each group will be there at the end of each month to come, and when each one goes.

The future is made of what the past was like: new snapshots come as often as the last ones did, and each needs as many
bytes as these did beyond the others. Each day policies and budgets are applied to what there is by then. What protects
snapshots now is taken to protect them for as long.

A budget is reckoned by estimates (`Growth`): they leave out what groups have in common, and that a snapshot alone has
what it shared with one that went.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from holdfast.format.snapshot import Snapshot
from holdfast.format.tags import has_strategy
from holdfast.format.times import format_time
from holdfast.ids import SnapshotId, sha256
from holdfast.repository.snapshots import StoredSnapshot
from holdfast.retention.decision import beyond_budget
from holdfast.retention.groups import Group
from holdfast.retention.policy import Policy, has_tags, kept_by_time
from holdfast.retention.protection import Protections, is_due, needed_fulls
from holdfast.retention.sizes import NO_GROWTH, Growth
from holdfast.retention.spans import Moment
from holdfast.terms import Strategy
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


def calendars(
    groups: Mapping[Group, Sequence[StoredSnapshot]],
    policy_of: Callable[[Group], Policy],
    protections: Protections,
    now_ns: int,
    *,
    growths: Mapping[Group, Growth] | None = None,
    size_bytes: int | None = None,
) -> dict[Group, Calendar]:
    """What becomes of groups in the next twelve months.

    growths: of each group; needed where there is a budget. size_bytes: the budget of all groups together.
    """
    growth_of = growths or {}
    lines = {
        group: _Line(snapshots, policy_of(group), protections, growth_of.get(group, NO_GROWTH), now_ns)
        for group, snapshots in groups.items()
    }
    months = _months(now_ns)
    day_ns = now_ns
    while (month := format_time(day_ns)[:7]) in months:
        for line in lines.values():
            line.live(day_ns, month)
        if size_bytes is not None:
            _trim(list(lines.values()), size_bytes, day_ns, month)
        for line in lines.values():
            line.there[month] = len(line.present)
        day_ns += _DAY_NS
    return {group: line.calendar(months) for group, line in lines.items()}


@dataclass(slots=True, eq=False)
class _One:
    """A snapshot on the calendar. is_plain: nothing decides about it but rules, the floor and budgets. is_tagged: its
    tags keep it. protected: budgets leave it alone on this day."""

    stored: StoredSnapshot
    moment: Moment
    bytes: int
    is_plain: bool
    is_tagged: bool
    protected: bool = False


class _Line:
    """A group on its way through the year. present: newest first."""

    def __init__(
        self,
        snapshots: Sequence[StoredSnapshot],
        policy: Policy,
        protections: Protections,
        growth: Growth,
        now_ns: int,
    ) -> None:
        self._policy, self._protections, self.growth, self._now_ns = policy, protections, growth, now_ns
        believed = [stored for stored in snapshots if not protections.implausible(stored, now_ns)]
        self._newest = max(believed, key=lambda stored: stored.time_ns, default=None)
        self._every_ns = rhythm_ns(believed)
        self._due_ns = now_ns
        if self._newest is not None:
            self._due_ns = max(now_ns, self._newest.time_ns + self._every_ns)
        self._hang_together = any(has_strategy(stored.snapshot, Strategy.FULL) for stored in snapshots)
        self._today = {stored.id for stored in snapshots}
        self.present = _newest_first(map(self._one, snapshots))
        self.there: dict[str, int] = {}
        self._made: dict[str, int] = {}
        self._going: dict[str, list[SnapshotId]] = {}
        self._goes_ns: dict[SnapshotId, int] = {}

    def live(self, day_ns: int, month: str) -> None:
        """Have a day pass: snapshots are made, and others go."""
        made: list[_One] = []
        while self._due_ns <= day_ns:
            made.append(self._one(_like(self._newest, self._due_ns)))
            self._due_ns += self._every_ns
        self._made[month] = self._made.get(month, 0) + len(made)
        self.present = [*reversed(made), *self.present]
        if not all(one.is_plain for one in self.present[len(made) :]):  # some may be dated ahead
            self.present = _newest_first(self.present)
        staying = self._staying(day_ns)
        size_bytes = self._policy.size_bytes
        if size_bytes is not None:
            beyond = set(_beyond(staying, size_bytes - self.growth.base_bytes))
            staying = [one for one in staying if one not in beyond]
        kept = set(staying)
        self.forget([one for one in self.present if one not in kept], day_ns, month)

    def forget(self, gone: Collection[_One], day_ns: int, month: str) -> None:
        """Have some go."""
        if not gone:
            return
        without = set(gone)
        self.present = [one for one in self.present if one not in without]
        for snapshot_id in (one.stored.id for one in gone if one.stored.id in self._today):
            self._goes_ns[snapshot_id] = day_ns
            self._going.setdefault(month, []).append(snapshot_id)

    def calendar(self, months: Sequence[str]) -> Calendar:
        """What has become of it."""
        return Calendar(
            every_ns=self._every_ns,
            months=tuple(
                Month(
                    name=name,
                    there=self.there.get(name, 0),
                    made=self._made.get(name, 0),
                    going=tuple(self._going.get(name, ())),
                )
                for name in months
            ),
            goes_ns=self._goes_ns,
        )

    def _staying(self, day_ns: int) -> list[_One]:
        """Those that stay on a day, budgets aside, newest first: as `decide` has it, without the reasons."""
        protections = self._protections
        believed: list[_One] = []
        counted: list[_One] = []
        for one in self.present:
            one.protected = one.is_tagged
            if not one.is_plain and self._is_set_apart(one, day_ns):
                believed += [] if protections.implausible(one.stored, day_ns) else [one]
                continue
            believed.append(one)
            counted.append(one)
        ruled = set(self.present if self._policy.is_empty else counted)
        if self._policy.has_rules:
            moments = [one.moment for one in counted]
            ruled = {
                counted[place]
                for _, places in kept_by_time(self._policy, moments, day_ns)
                for place in places
            }
        stored = [one.stored for one in believed]
        floor: set[SnapshotId] = set(protections.floor(stored))
        if self._hang_together:
            kept = [one.stored for one in believed if one in ruled or one.protected or one.stored.id in floor]
            floor.update(needed_fulls(kept, stored))
        for one in believed:
            one.protected |= one.stored.id in floor
        return [one for one in self.present if one.protected or one in ruled]

    def _is_set_apart(self, one: _One, day_ns: int) -> bool:
        """Whether no rule is asked about a snapshot; also notes what holds it."""
        implausible = self._protections.implausible(one.stored, day_ns)
        is_apart = bool(implausible) or is_due(one.stored, day_ns)
        is_held = bool(implausible or self._protections.holding(one.stored, day_ns))
        one.protected = is_held or (one.is_tagged and not is_apart)
        return is_apart

    def _one(self, stored: StoredSnapshot) -> _One:
        protections = self._protections
        special = protections.implausible(stored, self._now_ns) or protections.holding(stored, self._now_ns)
        return _One(
            stored=stored,
            moment=Moment.of(stored.snapshot.time),
            bytes=self.growth.of(stored.id),
            is_plain=stored.snapshot.delete is None and not (special and stored.id in self._today),
            is_tagged=any(has_tags(stored.snapshot, tags) for tags in self._policy.tags),
        )


def _newest_first(ones: Iterable[_One]) -> list[_One]:
    return sorted(ones, key=lambda one: (-one.moment.ns, one.stored.id))


def _beyond(newest_first: Sequence[_One], size_bytes: int) -> list[_One]:
    return beyond_budget(newest_first, size_bytes, lambda one: one.protected, lambda one: one.bytes)


def _trim(lines: Sequence[_Line], size_bytes: int, day_ns: int, month: str) -> None:
    """The budget of all groups together."""
    everything = _newest_first(one for line in lines for one in line.present)
    beyond = set(_beyond(everything, size_bytes - sum(line.growth.base_bytes for line in lines)))
    for line in lines:
        line.forget([one for one in line.present if one in beyond], day_ns, month)


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
