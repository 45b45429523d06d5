"""What protects a snapshot from a policy, and the budget."""

from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import UsageError
from holdfast.format.tags import SOURCE_TAG, STATUS_TAG, STRATEGY_TAG
from holdfast.ids import SnapshotId, to_hex
from holdfast.repository.snapshots import StoredSnapshot
from holdfast.retention.decision import DUE, NO_POLICY, NO_RULE, Adding, Decision, decide
from holdfast.retention.groups import Group, grouped, parse_group_by
from holdfast.retention.policy import Policy, apply_policy
from holdfast.retention.protection import Alarm, Protections
from tests.retention.made import GROUPS, NOW, NOW_NS, daily, made, policies, text

NOTHING = Protections()
FULL, DIFFERENTIAL = f"{STRATEGY_TAG}full", f"{STRATEGY_TAG}differential"
PARTIAL = f"{STATUS_TAG}partial"


def decided(
    snapshots: Sequence[StoredSnapshot], policy: Policy, protections: Protections = NOTHING, **more: object
) -> Decision:
    return decide(grouped(snapshots), lambda _: policy, protections, NOW_NS, **more)  # type: ignore[arg-type]


def reasons(decision: Decision, stored: StoredSnapshot) -> tuple[str, ...]:
    return next(verdict.reasons for verdict in decision.verdicts if verdict.stored is stored)


def staying(decision: Decision) -> set[SnapshotId]:
    return {verdict.stored.id for verdict in decision.verdicts if verdict.stays}


@settings(max_examples=60, deadline=None)
@given(group=GROUPS.filter(bool), policy=policies())
def test_protections_only_add_to_what_the_rules_keep(group: list[StoredSnapshot], policy: Policy) -> None:
    ruled = {kept.stored.id for kept in apply_policy(policy, group, NOW_NS) if kept.reasons}
    if not ruled:
        with pytest.raises(UsageError, match="keeps no snapshot"):
            decided(group, policy)
        return
    newest = max(group, key=lambda stored: stored.time_ns)
    held = min(group, key=lambda stored: stored.id)
    found = decided(group, policy, Protections(held={held.id: "audit"}))
    assert staying(found) == ruled | {newest.id, held.id}


def test_without_a_policy_all_stay() -> None:
    found = decided(daily(3), Policy())
    assert [verdict.reasons[0] for verdict in found.verdicts] == [NO_POLICY] * 3
    assert found.going == []


def test_without_a_policy_all_may_go_if_that_is_said_and_what_is_held_stays() -> None:
    snapshots = daily(3)
    held = Protections(held={snapshots[0].id: "audit"})
    assert staying(decided(snapshots, Policy(), held, remove_all=True)) == {snapshots[0].id}
    assert staying(decided(snapshots, Policy(last=1), remove_all=True)) == {snapshots[2].id}


def test_rules_that_keep_nothing_are_refused() -> None:
    with pytest.raises(UsageError, match="keeps no snapshot of host mars, paths /data"):
        decided(daily(3), Policy(tags=(("important",),)), remove_all=True)


def test_the_floor_keeps_the_newest_complete_verified_and_drilled() -> None:
    old, drilled, complete, first, second = (
        made(one.snapshot.time, tags=tags)
        for one, tags in zip(daily(5), ((), (), (), (PARTIAL,), (PARTIAL,)), strict=True)
    )
    known = Protections(verified=frozenset((old.id, drilled.id)), drilled=frozenset((old.id,)))
    found = decided([old, drilled, complete, first, second], Policy(last=1), known)
    assert reasons(found, second) == ("last snapshot",)
    assert reasons(found, first) == (NO_RULE,)
    assert reasons(found, complete) == ("newest complete one",)
    assert reasons(found, drilled) == ("newest verified one",)
    assert reasons(found, old) == ("newest drilled one",)


def test_the_newest_full_one_stays_while_a_differential_hangs_on_it() -> None:
    times = [stored.snapshot.time for stored in daily(5)]
    older_full, full = made(times[0], tags=(FULL,)), made(times[1], tags=(FULL,))
    between = made(times[2], tags=(DIFFERENTIAL,), parent=to_hex(full.id))
    newest = made(times[3], tags=(DIFFERENTIAL,), parent=to_hex(full.id))
    found = decided([older_full, full, between, newest], Policy(last=1))
    assert staying(found) == {full.id, newest.id}
    assert reasons(found, full)[0].startswith("full one of differential")
    alone = made(times[4], tags=(f"{STRATEGY_TAG}incremental",), parent=to_hex(newest.id))
    assert staying(decided([older_full, full, between, newest, alone], Policy(last=1))) == {alone.id}


def test_a_hold_follows_a_snapshot_whose_tags_were_changed() -> None:
    snapshots = daily(3)
    renamed = made(snapshots[0].snapshot.time, tags=("new",), original=to_hex(snapshots[0].id))
    held = Protections(held={snapshots[0].id: "audit by Ann"})
    found = decided([renamed, *snapshots[1:]], Policy(last=1), held)
    assert reasons(found, renamed) == ("held: audit by Ann",)


def test_what_is_proven_stays_proven_when_the_tags_change() -> None:
    times = [stored.snapshot.time for stored in daily(4)]
    proven, full = made(times[0]), made(times[1], tags=(FULL,))
    renamed = made(times[0], tags=("new",), original=to_hex(proven.id))
    full_again = made(times[1], tags=(FULL, "new"), original=to_hex(full.id))
    newest = made(times[3], tags=(DIFFERENTIAL,), parent=to_hex(full.id))
    known = Protections(drilled=frozenset((proven.id,)))
    found = decided([renamed, full_again, made(times[2]), newest], Policy(last=1), known)
    assert staying(found) == {renamed.id, full_again.id, newest.id}


def test_an_alarm_holds_what_the_source_had_before_it() -> None:
    alarm = Alarm(host="mars", source="docs", paths=("/data",), since_ns=NOW_NS - 36 * 3600 * 10**9)
    times = [stored.snapshot.time for stored in daily(4)]
    tag = f"{SOURCE_TAG}docs"
    ours = [made(time, tags=(tag,)) for time in times]
    unnamed = [made(time) for time in times]
    of_another = [made(time, tags=(f"{SOURCE_TAG}other",)) for time in times]
    elsewhere = [made(time, tags=(tag,), host="venus") for time in times]
    found = decided([*ours, *unnamed, *of_another, *elsewhere], Policy(last=1), Protections(alarms=(alarm,)))
    assert [reasons(found, stored)[0] for stored in ours] == [
        "alarm: docs",
        "alarm: docs",
        NO_RULE,
        "last snapshot",
    ]
    assert [stored.id in staying(found) for stored in unnamed] == [True, True, False, True]
    assert [stored.id in staying(found) for stored in (*of_another, *elsewhere)] == 2 * [
        False,
        False,
        False,
        True,
    ]


def test_times_that_are_not_believed_push_no_other_out() -> None:
    honest = daily(3)
    forged = [made(text(NOW + timedelta(days=days))) for days in range(1, 6)]
    ancient = made("1970-01-02T00:00:00Z")
    copied = made("1970-01-03T00:00:00Z", original="cd" * 32)
    born = Protections(born_ns=honest[0].time_ns)
    found = decided([*honest, *forged, ancient, copied], Policy(daily=2, last=1), born)
    assert {stored.id for stored in (*honest[1:], *forged, ancient)} == staying(found)
    assert reasons(found, forged[0]) == ("dated in the future",)
    assert reasons(found, ancient) == ("dated before its repository",)
    assert reasons(found, copied) == (NO_RULE,)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("Never", "never to be deleted"),
        ({"After": "2099-01-01T00:00:00+01:00[Europe/Berlin]"}, "not to be deleted yet"),
        ({"After": "2020-01-01T00:00:00+01:00[Europe/Berlin]"}, DUE),
        ("NotSet", NO_RULE),
        ({"After": "tomorrow"}, "never to be deleted"),
        (["Sometime"], "never to be deleted"),
    ],
)
def test_rustics_word_in_a_snapshot_is_kept(said: object, reason: str) -> None:
    snapshots = daily(3)
    own = made(snapshots[0].snapshot.time, delete=said)
    assert reasons(decided([own, *snapshots[1:]], Policy(last=1)), own) == (reason,)


def test_what_is_due_by_its_own_word_goes_though_a_rule_would_keep_it_but_never_the_last_one() -> None:
    snapshots = daily(2)
    due = made(snapshots[0].snapshot.time, delete={"After": "2020-01-01T00:00:00Z"})
    assert reasons(decided([due, snapshots[1]], Policy(last=9)), due) == (DUE,)
    assert reasons(decided([due], Policy(last=9)), due) == ("newest complete one",)


def sizes(of: dict[SnapshotId, int]) -> Callable[[], Adding]:
    return lambda: lambda stored: of[stored.id]


@settings(max_examples=100, deadline=None)
@given(count=st.integers(1, 12), budget=st.integers(0, 60))
def test_a_budget_takes_the_oldest_until_the_rest_fits(count: int, budget: int) -> None:
    snapshots = daily(count)
    of = {stored.id: 5 for stored in snapshots}
    found = decided(snapshots, Policy(size_bytes=budget), adding=sizes(of))
    fit = max(1, min(count, budget // 5))  # the newest complete one stays whatever it needs
    assert staying(found) == {stored.id for stored in snapshots[-fit:]}


def test_a_budget_of_the_repository_takes_the_oldest_of_all_groups_and_spares_what_is_protected() -> None:
    here, there = daily(4), [made(one.snapshot.time, host="venus") for one in daily(4)]
    tagged = made(here[0].snapshot.time, tags=("keep",))
    held = Protections(held={there[0].id: "audit"})
    of = {stored.id: 1 for stored in (*here, *there, tagged)}
    policy = Policy(last=9, tags=(("keep",),))
    found = decided([tagged, *here[1:], *there], policy, held, adding=sizes(of), size_bytes=6)
    assert staying(found) == {tagged.id, there[0].id, *(one.id for one in (*here[2:], *there[2:]))}


def test_a_budget_of_the_repository_counts_for_groups_without_a_policy_too() -> None:
    snapshots = daily(4)
    found = decided(snapshots, Policy(), adding=sizes({one.id: 1 for one in snapshots}), size_bytes=2)
    assert staying(found) == {stored.id for stored in snapshots[2:]}


def test_sources_are_groups_whatever_their_paths() -> None:
    tag = f"{SOURCE_TAG}docs"
    old, new = (
        made("2024-01-01T00:00:00Z", tags=(tag,)),
        made("2024-02-01T00:00:00Z", tags=(tag,), paths=("/new",)),
    )
    foreign = made("2024-03-01T00:00:00Z", paths=("/b", "/a"))
    assert grouped([old, new, foreign]) == {
        Group(host="mars", source="docs"): [old, new],
        Group(host="mars", paths=("/a", "/b")): [foreign],
    }
    assert grouped([old, new], parse_group_by("host,paths")) == {
        Group(host="mars", paths=("/data",)): [old],
        Group(host="mars", paths=("/new",)): [new],
    }
    assert list(grouped([old, new], parse_group_by(""))) == [Group()]
    assert list(grouped([old, new], parse_group_by("tags"))) == [Group(tags=(tag,))]
    with pytest.raises(UsageError, match="--group-by: 'users'"):
        parse_group_by("host,users")
