"""A policy says which snapshots of a group stay, by restic's rules and in restic's words; a pure function.

Source: restic, internal/data/snapshot_policy.go (`ApplyPolicy`), 0.19-dev. From the newest to the oldest, each rule
keeps the first snapshot of each hour, day, week, month or year, until its count is used up. The oldest of all stays by
each rule whose count is not. `within` rules look back from the newest snapshot that is not in the future. A snapshot
that any rule keeps stays, and has all the reasons. restic before 0.17 does not keep the oldest in this way, and has no
"unlimited".
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, fields
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


_PERIODS: Final[tuple[tuple[str, Callable[[Moment], Hashable]], ...]] = (
    ("hourly", lambda moment: (moment.year, moment.month, moment.day, moment.hour)),
    ("daily", lambda moment: (moment.year, moment.month, moment.day)),
    ("weekly", lambda moment: moment.week),
    ("monthly", lambda moment: (moment.year, moment.month)),
    ("yearly", lambda moment: moment.year),
)


def apply_policy(policy: Policy, group: "Sequence[StoredSnapshot]", now_ns: int) -> list[Kept]:
    """What the rules say of a group's snapshots, newest first. Without any rule, all stay.

    now_ns: since 1970; what is not before it is not the newest that spans look back from.
    """
    newest_first = sorted(group, key=lambda stored: (-stored.time_ns, stored.id))
    if not policy.has_rules:
        return [Kept(stored=stored, reasons=("no rule",)) for stored in newest_first]
    moments = [Moment.of(stored.snapshot.time) for stored in newest_first]
    newest = next((moment for moment in moments if moment.ns < now_ns), None)

    def since_ns(span: Span) -> float:
        """How far back a span reaches; where all are in the future, over everything."""
        return float("-inf") if newest is None else span.before(newest)

    rules = _rules(policy, since_ns)
    within_ns = since_ns(policy.within)
    return [
        Kept(
            stored=stored,
            reasons=(
                *(f"has tags [{', '.join(tags)}]" for tags in policy.tags if has_tags(stored.snapshot, tags)),
                *([f"within {policy.within}"] if policy.within and moment.ns > within_ns else []),
                *(
                    reason
                    for rule in rules
                    if (reason := rule.reason(moment, number, is_oldest=number == len(moments) - 1))
                ),
            ),
        )
        for number, (stored, moment) in enumerate(zip(newest_first, moments, strict=True))
    ]


def has_tags(snapshot: "Snapshot", tags: Sequence[str]) -> bool:
    """Whether a snapshot has all of these tags; an empty one is had by a snapshot without any (restic's `HasTags`)."""
    own = snapshot.tags or ()
    for tag in tags:
        if not tag and not own:
            return True
        if tag not in own:
            return False
    return True


class _Rule:
    """One rule on its way from the newest to the oldest.

    left: its count; since_ns: no older than this. period: what names the hour, day, … that a moment lies in.
    """

    def __init__(
        self,
        word: str,
        period: Callable[[Moment, int], Hashable],
        *,
        left: int = UNLIMITED,
        since_ns: float = float("-inf"),
    ) -> None:
        self._word, self._period, self._left, self._since_ns = word, period, left, since_ns
        self._seen: Hashable = None

    def reason(self, moment: Moment, number: int, *, is_oldest: bool) -> str:
        """Why it keeps this one; empty where it does not."""
        if not self._left or moment.ns <= self._since_ns:
            return ""
        period = self._period(moment, number)
        is_new = period != self._seen
        if not is_new and not is_oldest:
            return ""
        self._seen = period
        if self._left > 0:
            self._left -= 1
        return self._word if is_new else f"oldest {self._word}"


def _rules(policy: Policy, since_ns: Callable[[Span], float]) -> list[_Rule]:
    """Those that the policy has, in the order in which restic gives its reasons."""
    found = [_Rule("last snapshot", lambda _, number: number, left=policy.last)] if policy.last else []
    for word, period in _PERIODS:
        count: int = getattr(policy, word)
        if count:
            found.append(_Rule(f"{word} snapshot", _alone(period), left=count))
    for word, period in _PERIODS:
        span: Span = getattr(policy, f"within_{word}")
        if span:
            found.append(_Rule(f"{word} within {span}", _alone(period), since_ns=since_ns(span)))
    return found


def _alone(period: Callable[[Moment], Hashable]) -> Callable[[Moment, int], Hashable]:
    return lambda moment, _: period(moment)
