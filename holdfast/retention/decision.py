"""A decision says of each snapshot whether it stays, and why: a printable value, made before anything is removed.

For each group: what its policy's rules keep (policy.py), then what protects the others (protection.py), then the
budget. A budget takes from what only rules keep, oldest first, until what stays fits in it; it does not touch what is
protected, or kept by its tags.

What rules would leave of a group is never nothing: then the decision is refused, as restic refuses it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from holdfast.errors import UsageError
from holdfast.ids import SnapshotId
from holdfast.repository.snapshots import StoredSnapshot
from holdfast.retention.groups import Group
from holdfast.retention.policy import Policy, apply_policy, has_tags
from holdfast.retention.protection import Protections, is_due, needed_fulls
from holdfast.units import format_bytes

NO_POLICY: Final = "no policy"
NO_RULE: Final = "no rule keeps it"
DUE: Final = "due by its own word"

T = TypeVar("T")
Adding = Callable[[StoredSnapshot], int]
"""How many bytes a snapshot needs beyond those that it was asked about before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of a snapshot. reasons: all that keep it, or the one by which it goes."""

    stored: StoredSnapshot
    stays: bool
    reasons: tuple[str, ...]
    protected: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupVerdict:
    """A group under its policy; verdicts: newest first."""

    group: Group
    policy: Policy
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What becomes of all snapshots that were asked about."""

    groups: tuple[GroupVerdict, ...]

    @property
    def verdicts(self) -> list[Verdict]:
        """Of all groups."""
        return [verdict for group in self.groups for verdict in group.verdicts]

    @property
    def going(self) -> list[Verdict]:
        """Those that go."""
        return [verdict for verdict in self.verdicts if not verdict.stays]


def decide(
    groups: Mapping[Group, Sequence[StoredSnapshot]],
    policy_of: Callable[[Group], Policy],
    protections: Protections,
    now_ns: int,
    *,
    adding: Callable[[], Adding] | None = None,
    size_bytes: int | None = None,
    remove_all: bool = False,
) -> Decision:
    """Decide about these groups.

    adding: begins a new measurement; needed where there is a budget. size_bytes: the budget of all groups together.
    remove_all: where there is no policy, nothing is kept but what is held; the floor does not hold.

    Raises:
        UsageError: the rules would keep nothing of a group.
    """
    decided: list[GroupVerdict] = []
    for group, snapshots in groups.items():
        policy = policy_of(group)
        verdicts = _judged(group, snapshots, policy, protections, now_ns, remove_all=remove_all)
        if policy.size_bytes is not None and adding is not None:
            verdicts = _trimmed(verdicts, policy.size_bytes, adding())
        decided.append(GroupVerdict(group=group, policy=policy, verdicts=tuple(verdicts)))
    if size_bytes is not None and adding is not None:
        everything = [verdict for one in decided for verdict in one.verdicts]
        left = {verdict.stored.id: verdict for verdict in _trimmed(_by_age(everything), size_bytes, adding())}
        decided = [
            replace(one, verdicts=tuple(left[verdict.stored.id] for verdict in one.verdicts))
            for one in decided
        ]
    return Decision(groups=tuple(decided))


def _judged(
    group: Group,
    snapshots: Sequence[StoredSnapshot],
    policy: Policy,
    protections: Protections,
    now_ns: int,
    *,
    remove_all: bool,
) -> list[Verdict]:
    newest_first = sorted(snapshots, key=lambda stored: (-stored.time_ns, stored.id))
    remove_all = remove_all and policy.is_empty
    reasons: dict[SnapshotId, list[str]] = {stored.id: [] for stored in newest_first}
    protected: dict[SnapshotId, list[str]] = {stored.id: [] for stored in newest_first}
    believed: list[StoredSnapshot] = []
    counted: list[StoredSnapshot] = []
    for stored in newest_first:
        implausible = protections.implausible(stored, now_ns)
        if implausible:
            protected[stored.id].append(implausible)
        else:
            believed.append(stored)
            counted += [] if is_due(stored, now_ns) else [stored]
        protected[stored.id] += protections.holding(stored, now_ns)
    if not remove_all:
        if policy.is_empty:
            reasons = {stored.id: [NO_POLICY] for stored in newest_first}
        else:
            for kept in apply_policy(policy, counted, now_ns):
                reasons[kept.stored.id] += kept.reasons
        if counted and not any(reasons[stored.id] for stored in counted):
            raise UsageError(
                f"the policy keeps no snapshot of {group}: nothing was removed",
                hint="Write a rule that keeps some (keep_last = 1), or name snapshots by their ids. With "
                "--unsafe-allow-remove-all and a filter, but without a rule, all of them go.",
            )
        for snapshot_id, why in protections.floor(believed).items():
            protected[snapshot_id] += why
        kept_now = [stored for stored in believed if reasons[stored.id] or protected[stored.id]]
        for snapshot_id, reason in needed_fulls(kept_now, believed).items():
            protected[snapshot_id].append(reason)
    return [
        _verdict(stored, reasons[stored.id], protected[stored.id], policy, now_ns) for stored in newest_first
    ]


def _verdict(
    stored: StoredSnapshot, reasons: Sequence[str], protected: Sequence[str], policy: Policy, now_ns: int
) -> Verdict:
    if not reasons and not protected:
        return Verdict(stored=stored, stays=False, reasons=(DUE if is_due(stored, now_ns) else NO_RULE,))
    by_tag = any(has_tags(stored.snapshot, tags) for tags in policy.tags)
    return Verdict(
        stored=stored, stays=True, reasons=(*reasons, *protected), protected=bool(protected) or by_tag
    )


def beyond_budget(
    newest_first: Sequence[T], size_bytes: int, is_protected: Callable[[T], bool], add: Callable[[T], int]
) -> list[T]:
    """Of those that stay, the ones that do not fit: from the newest on, beside what is protected.

    add: how many bytes one needs beyond those that it was asked about before.
    """
    total = sum(add(one) for one in newest_first if is_protected(one))
    beyond: list[T] = []
    for one in newest_first:
        if not is_protected(one):
            if total <= size_bytes:
                total += add(one)
            if total > size_bytes:
                beyond.append(one)
    return beyond


def _trimmed(verdicts: Sequence[Verdict], size_bytes: int, add: Adding) -> list[Verdict]:
    """The verdicts after the budget."""
    staying = [verdict for verdict in verdicts if verdict.stays]
    beyond = {
        verdict.stored.id
        for verdict in beyond_budget(
            staying, size_bytes, lambda verdict: verdict.protected, lambda verdict: add(verdict.stored)
        )
    }
    reason = f"beyond {format_bytes(size_bytes)}"
    return [
        replace(verdict, stays=False, reasons=(reason,)) if verdict.stored.id in beyond else verdict
        for verdict in verdicts
    ]


def _by_age(verdicts: Sequence[Verdict]) -> list[Verdict]:
    return sorted(verdicts, key=lambda verdict: (-verdict.stored.time_ns, verdict.stored.id))
