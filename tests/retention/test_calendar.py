"""The calendar: what it says of the months to come is what an independent reckoning of each day says."""

from datetime import timedelta

import pytest

from holdfast.ids import SnapshotId
from holdfast.retention.calendar import calendar, rhythm_ns
from holdfast.retention.groups import Group
from holdfast.retention.policy import Policy
from holdfast.retention.protection import Protections
from tests.retention.made import NOW, NOW_NS, daily, made, text
from tests.retention.reckoning import staying

DAY_NS = 86_400 * 10**9
GROUP = Group(host="mars", paths=("/data",))


def test_the_months_to_come_are_those_of_a_reckoning_day_by_day() -> None:
    policy = Policy(daily=7, weekly=4, monthly=6)
    present = daily(60)
    today = {stored.id for stored in present}
    found = calendar(GROUP, present, policy, Protections(), NOW_NS)
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
    found = calendar(GROUP, snapshots, Policy(last=1), held, NOW_NS)
    assert snapshots[0].id not in found.goes_ns
    assert len(found.goes_ns) == 4
