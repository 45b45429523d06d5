"""The calendar: what it says of the months to come is what an independent reckoning of each day says."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from holdfast.errors import UsageError
from holdfast.format.tags import STATUS_TAG, STRATEGY_TAG
from holdfast.ids import SnapshotId, to_hex
from holdfast.repository.snapshots import StoredSnapshot
from holdfast.retention.calendar import Calendar, calendars, rhythm_ns
from holdfast.retention.decision import decide
from holdfast.retention.groups import Group
from holdfast.retention.policy import Policy
from holdfast.retention.protection import Protections
from holdfast.retention.sizes import Growth
from holdfast.terms import RunStatus, Strategy
from tests.retention.made import GROUPS, NOW, NOW_NS, daily, made, policies, text
from tests.retention.reckoning import staying

DAY_NS = 86_400 * 10**9
GROUP = Group(host="mars", paths=("/data",))
FULL = made(text(NOW - timedelta(days=40)), tags=[STRATEGY_TAG + Strategy.FULL])
ODD = [
    FULL,
    made(text(NOW - timedelta(days=39)), tags=[STRATEGY_TAG + Strategy.DIFFERENTIAL], parent=to_hex(FULL.id)),
    made(text(NOW - timedelta(minutes=3)), tags=[STATUS_TAG + RunStatus.PARTIAL]),
    made(text(NOW + timedelta(days=3)), tags=["keep"]),
    made(text(NOW - timedelta(days=5)), tags=["keep"], delete={"After": text(NOW - timedelta(days=1))}),
    made(text(NOW - timedelta(days=6)), delete={"After": text(NOW + timedelta(days=1))}),
    made(text(NOW - timedelta(days=7)), delete="Never"),
]


def calendar(
    snapshots: Sequence[StoredSnapshot], policy: Policy, protections: Protections | None = None
) -> Calendar:
    return calendars({GROUP: snapshots}, lambda _: policy, protections or Protections(), NOW_NS)[GROUP]


def test_the_months_to_come_are_those_of_a_reckoning_day_by_day() -> None:
    policy = Policy(daily=7, weekly=4, monthly=6)
    present = daily(60)
    today = {stored.id for stored in present}
    found = calendar(present, policy)
    assert found.every_ns == DAY_NS
    gone: dict[SnapshotId, int] = {}
    there: dict[str, int] = {}
    for day in range(367):
        now = NOW + timedelta(days=day)
        if day:
            present = [*present, made(text(now - timedelta(hours=1)))]
        kept = staying(policy, present, NOW_NS + day * DAY_NS)
        gone |= {stored.id: day for stored in present if stored.id not in kept and stored.id in today}
        present = [stored for stored in present if stored.id in kept]
        there[text(now)[:7]] = len(present)
    assert {name: (goes_ns - NOW_NS) // DAY_NS for name, goes_ns in found.goes_ns.items()} == gone
    assert [month.name for month in found.months][:2] == ["2024-11", "2024-12"]
    assert len(found.months) == 13
    assert [month.there for month in found.months][:11] == list(there.values())[:11]
    assert sum(len(month.going) for month in found.months) == len(gone)
    assert found.months[1].made == 31


@pytest.mark.parametrize(("every", "expected"), [(6, 6 * 3600), (24, 86_400), (0.1, 3600)])
def test_the_rhythm_is_that_of_the_last_snapshots(every: float, expected: int) -> None:
    assert rhythm_ns(daily(12, every=timedelta(hours=every))) == expected * 10**9
    assert rhythm_ns([]) == DAY_NS


def test_what_is_held_stays_on_the_calendar() -> None:
    snapshots = daily(5)
    held = Protections(held={snapshots[0].id: "audit"})
    found = calendar(snapshots, Policy(last=1), held)
    assert snapshots[0].id not in found.goes_ns
    assert len(found.goes_ns) == 4


@settings(max_examples=8, deadline=None)
@given(GROUPS, policies(), st.data())
def test_the_first_day_is_as_the_decision_of_today(
    group: list[StoredSnapshot], policy: Policy, data: st.DataObject
) -> None:
    """What holds, proves, is dated ahead, hangs together or says when it may go, as `decide` has it."""
    some = st.frozensets(st.sampled_from([stored.id for stored in group])) if group else st.just(frozenset())
    known = Protections(
        held=dict.fromkeys(data.draw(some), "audit"), verified=data.draw(some), drilled=data.draw(some)
    )
    group = [*group, *data.draw(st.lists(st.sampled_from(ODD), unique_by=lambda stored: stored.id))]
    try:
        decision = decide({GROUP: group}, lambda _: policy, known, NOW_NS)
    except UsageError:
        assume(False)  # noqa: FBT003 - hypothesis
    first = {
        stored for stored, goes_ns in calendar(group, policy, known).goes_ns.items() if goes_ns == NOW_NS
    }
    new = rhythm_ns([stored for stored in group if not known.implausible(stored, NOW_NS)])
    latest = max((stored.time_ns for stored in group if stored.time_ns <= NOW_NS), default=None)
    assume(latest is not None and latest + new > NOW_NS)  # else one is made on the first day
    assert first == {verdict.stored.id for verdict in decision.going}


def test_a_budget_of_a_group_and_one_of_all() -> None:
    """Each snapshot adds 10 bytes to a base of 100: ten fit into the 200 of a group, and seven into 270 of both."""
    snapshots = daily(20)
    others = daily(20, until=NOW - timedelta(hours=3))
    growth = Growth(base_bytes=100, each_bytes=10)
    other = Group(host="venus", paths=("/data",))
    policy = {GROUP: Policy(size_bytes=200), other: Policy()}
    found = calendars(
        {GROUP: snapshots, other: others},
        policy.__getitem__,
        Protections(),
        NOW_NS,
        growths={GROUP: growth, other: growth},
        size_bytes=270,
    )
    assert [month.there for month in found[GROUP].months[1:]] == [4] * 12
    assert [month.there for month in found[other].months[1:]] == [3] * 12
    alone = calendars({GROUP: snapshots}, policy.__getitem__, Protections(), NOW_NS, growths={GROUP: growth})
    assert [month.there for month in alone[GROUP].months] == [10] * 13
