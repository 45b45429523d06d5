"""How well a source is backed up, judged from values: the worst that is true of it."""

from dataclasses import replace

import pytest

from holdfast.contracts.waiting import WaitsFor
from holdfast.control.standing.facts import SHARE, growth, strongest
from holdfast.control.standing.state import Facts, State, Subject, Verified, judge, worst_first
from holdfast.service.journal.records import Added, RunRecord
from holdfast.service.waits import wait_for
from holdfast.terms import RunKind, RunStatus

HOUR_NS = 3_600 * 10**9
DAY_NS = 24 * HOUR_NS
NOW_NS = 1_800_000_000 * 10**9
DOCS = Subject("home", "docs", "mars")
GOOD = RunRecord(
    run_id="backup:mars:home:docs/1",
    kind=RunKind.BACKUP,
    status=RunStatus.COMPLETE,
    repository="home",
    source="docs",
    host="mars",
    started_ns=NOW_NS - 25 * HOUR_NS,
)
PARTIAL = replace(GOOD, status=RunStatus.PARTIAL)
FAILED = replace(GOOD, status=RunStatus.FAILED, started_ns=NOW_NS - HOUR_NS)
DISK = wait_for(WaitsFor.FULL_DISK)
FAILED_BEFORE = replace(FAILED, started_ns=NOW_NS - 2 * HOUR_NS)


@pytest.mark.parametrize(
    ("facts", "state", "since_ns"),
    [
        (Facts(subject=DOCS), State.NEVER, None),
        (Facts(subject=DOCS, failures=(FAILED, FAILED_BEFORE)), State.NEVER, FAILED_BEFORE.started_ns),
        (Facts(subject=DOCS, good=GOOD), State.GOOD, None),
        (Facts(subject=DOCS, good=GOOD, max_age_s=25 * 3_600), State.GOOD, None),
        (Facts(subject=DOCS, good=GOOD, max_age_s=24 * 3_600), State.OVERDUE, NOW_NS - HOUR_NS),
        (
            Facts(subject=DOCS, good=GOOD, max_age_s=24 * 3_600, failures=(FAILED,), wait=DISK),
            State.OVERDUE,
            NOW_NS - HOUR_NS,
        ),
        (
            Facts(subject=DOCS, good=GOOD, failures=(FAILED, FAILED_BEFORE), wait=DISK),
            State.FAILED,
            FAILED_BEFORE.started_ns,
        ),
        (Facts(subject=DOCS, good=PARTIAL, wait=DISK), State.WAITING, None),
        (Facts(subject=DOCS, good=PARTIAL), State.PARTIAL, None),
    ],
)
def test_the_worst_that_is_true_is_the_state(facts: Facts, state: State, since_ns: int | None) -> None:
    standing = judge(facts, NOW_NS)
    assert (standing.state, standing.since_ns) == (state, since_ns)


def test_red_comes_first() -> None:
    facts = [
        Facts(subject=Subject("home", "b", "mars"), good=GOOD),
        Facts(subject=Subject("home", "a", "mars"), good=GOOD),
        Facts(subject=Subject("home", "z", "mars")),
        Facts(subject=Subject("home", "c", "mars"), good=PARTIAL),
    ]
    ordered = sorted((judge(one, NOW_NS) for one in facts), key=worst_first)
    assert [one.facts.subject.source for one in ordered] == ["z", "c", "a", "b"]
    assert [state for state in State if state.is_red] == [State.NEVER, State.OVERDUE, State.FAILED]


def test_growth_leaves_out_what_was_there_before_the_span() -> None:
    def added(day: float, count: int, source: str = "docs") -> Added:
        return Added("home", source, "mars", NOW_NS + round(day * DAY_NS), count)

    found = growth([added(0, 1_000), added(0, 7, "new"), added(0.5, 7, "new"), added(1, 20), added(2, 8)])
    assert found == {DOCS: 98}, "28 in two days; a source of half a day tells nothing yet"


def test_a_verification_that_read_more_counts_before_a_newer_one() -> None:
    found = [Verified(level=level, at_ns=at) for level, at in (("structure", 9), (SHARE, 5), (SHARE, 6))]
    assert strongest(found) == Verified(level=SHARE, at_ns=6)
    assert strongest([*found, Verified(level="full", at_ns=1)]) == Verified(level="full", at_ns=1)
    assert strongest([]) is None
