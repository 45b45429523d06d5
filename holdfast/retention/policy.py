"""A policy says which snapshots of a group stay, by restic's rules and in restic's words; a pure function.

Source: restic, internal/data/snapshot_policy.go (`ApplyPolicy`), 0.19-dev. From the newest to the oldest, each rule
keeps the first snapshot of each hour, day, week, month or year, until its count is used up. The oldest of all stays by
each rule whose count is not. `within` rules look back from the newest snapshot that is not in the future. A snapshot
that any rule keeps stays, and has all the reasons. restic before 0.17 does not keep the oldest in this way, and has no
"unlimited".
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import islice, pairwise
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from holdfast.retention.spans import NO_SPAN, Moment, Span

if TYPE_CHECKING:
    from holdfast.format.snapshot import Snapshot
    from holdfast.repository.snapshots import StoredSnapshot

UNLIMITED: Final = -1
"""A count that is never used up."""
COUNTS: Final = ("last", "hourly", "daily", "weekly", "monthly", "yearly")
SPANS: Final = ("within", *(f"within_{word}" for word in COUNTS[1:]))
"""The rules by their names: behind "keep_" in the settings, behind "--keep-" as options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What stays. Counts of snapshots, UNLIMITED for all; spans that look back from the newest; lists of tags, of
    which a snapshot has all of at least one. size_bytes: not what stays, but what all that stays may take (sizes.py).
    """

    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    within: Span = NO_SPAN
    within_hourly: Span = NO_SPAN
    within_daily: Span = NO_SPAN
    within_weekly: Span = NO_SPAN
    within_monthly: Span = NO_SPAN
    within_yearly: Span = NO_SPAN
    tags: tuple[tuple[str, ...], ...] = ()
    size_bytes: int | None = None

    @classmethod
    def of(
        cls,
        counts: Mapping[str, int],
        spans: Mapping[str, Span],
        *,
        tags: tuple[tuple[str, ...], ...] = (),
        size_bytes: int | None = None,
    ) -> "Policy":
        """A policy from COUNTS and SPANS by their names."""
        return cls(
            last=counts["last"],
            hourly=counts["hourly"],
            daily=counts["daily"],
            weekly=counts["weekly"],
            monthly=counts["monthly"],
            yearly=counts["yearly"],
            within=spans["within"],
            within_hourly=spans["within_hourly"],
            within_daily=spans["within_daily"],
            within_weekly=spans["within_weekly"],
            within_monthly=spans["within_monthly"],
            within_yearly=spans["within_yearly"],
            tags=tags,
            size_bytes=size_bytes,
        )

    @property
    def has_rules(self) -> bool:
        """Whether anything says what stays; a budget alone does not."""
        return any(getattr(self, field.name) for field in fields(self) if field.name != "size_bytes")

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing at all."""
        return not self.has_rules and self.size_bytes is None


EMPTY: Final = Policy()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A snapshot under a policy. reasons: the rules that keep it, in restic's words; none where it goes."""

    stored: "StoredSnapshot"
    reasons: tuple[str, ...]


def apply_policy(policy: Policy, group: "Sequence[StoredSnapshot]", now_ns: int) -> list[Kept]:
    """What the rules say of a group's snapshots, newest first. Without any rule, all stay.

    now_ns: since 1970; what is not before it is not the newest that spans look back from.
    """
    newest_first = sorted(group, key=lambda stored: (-stored.time_ns, stored.id))
    if not policy.has_rules:
        return [Kept(stored=stored, reasons=("no rule",)) for stored in newest_first]
    reasons = [
        [f"has tags [{', '.join(tags)}]" for tags in policy.tags if has_tags(stored.snapshot, tags)]
        for stored in newest_first
    ]
    moments = [Moment.of(stored.snapshot.time) for stored in newest_first]
    for reason, places in kept_by_time(policy, moments, now_ns):
        for place in places:
            reasons[place].append(reason)
    return [
        Kept(stored=stored, reasons=tuple(why)) for stored, why in zip(newest_first, reasons, strict=True)
    ]


def kept_by_time(
    policy: Policy, newest_first: Sequence[Moment], now_ns: int
) -> Iterator[tuple[str, Sequence[int]]]:
    """What each rule but those about tags keeps: its reason, and places in the sequence; in restic's order of reasons.

    now_ns: see `apply_policy`.
    """
    newest = next((moment for moment in newest_first if moment.ns < now_ns), None)

    def within(span: Span) -> int:
        """How many a span reaches; where all are in the future, it reaches over everything."""
        if newest is None:
            return len(newest_first)
        return bisect_left(newest_first, -span.before(newest), key=lambda moment: -moment.ns)

    if policy.within:
        yield f"within {policy.within}", range(within(policy.within))
    if policy.last:
        count = len(newest_first)
        yield "last snapshot", range(count if policy.last == UNLIMITED else min(policy.last, count))
    for word in COUNTS[1:]:
        count = getattr(policy, word)
        if count:
            yield from _each(word, f"{word} snapshot", newest_first, len(newest_first), count)
    for word in COUNTS[1:]:
        span: Span = getattr(policy, f"within_{word}")
        if span:
            yield from _each(word, f"{word} within {span}", newest_first, within(span), UNLIMITED)


def has_tags(snapshot: "Snapshot", tags: Sequence[str]) -> bool:
    """Whether a snapshot has all of these tags; an empty one is had by a snapshot without any (restic's `HasTags`)."""
    own = snapshot.tags or ()
    for tag in tags:
        if not tag and not own:
            return True
        if tag not in own:
            return False
    return True


def _each(
    word: str, reason: str, newest_first: Sequence[Moment], reach: int, count: int
) -> Iterator[tuple[str, Sequence[int]]]:
    """The first of each hour, day, …, among the first so many (reach), until the count is used up; and the oldest of
    all, where it is not."""
    periods = list(map(attrgetter(word), newest_first[:reach]))
    if not periods:
        return
    changes = (place for place, (one, other) in enumerate(pairwise(periods), start=1) if one != other)
    places = [0, *islice(changes, None if count == UNLIMITED else count - 1)]
    yield reason, places
    oldest = len(newest_first) - 1
    if oldest == reach - 1 and places[-1] != oldest and (count == UNLIMITED or len(places) < count):
        yield f"oldest {reason}", [oldest]
