"""restic's rules against an independent reckoning, and what reasons they give."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings

from holdfast.format.snapshot import Snapshot
from holdfast.repository.snapshots import StoredSnapshot
from holdfast.retention.policy import UNLIMITED, Policy, apply_policy, has_tags
from holdfast.retention.spans import Moment, Span, parse_span
from tests.retention.made import GROUPS, NOW, NOW_NS, SPANS, TIMES, TREE, daily, made, policies, text
from tests.retention.reckoning import back, local_time, staying


@settings(max_examples=150, deadline=None)
@given(group=GROUPS, policy=policies())
@example(group=daily(30), policy=Policy(daily=7, weekly=4, monthly=UNLIMITED))
def test_what_stays_is_what_an_independent_reckoning_says(
    group: list[StoredSnapshot], policy: Policy
) -> None:
    judged = apply_policy(policy, group, NOW_NS)
    assert [kept.stored.time_ns for kept in judged] == sorted((one.time_ns for one in group), reverse=True)
    if policy.has_rules:
        assert {kept.stored.id for kept in judged if kept.reasons} == staying(policy, group, NOW_NS)
    else:
        assert all(kept.reasons for kept in judged)


@settings(max_examples=150, deadline=None)
@given(time=TIMES, span=SPANS)
@example(time="2024-03-31T12:00:00.5+02:00", span=Span(months=1))
@example(time="2024-02-29T00:00:00Z", span=Span(years=1))
def test_a_span_is_counted_on_the_calendar_of_the_clock_that_made_the_time(time: str, span: Span) -> None:
    expected = back(local_time(made(time)), span)
    found = span.before(Moment.of(time))
    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=found // 1000) == expected


def test_a_span_may_reach_back_beyond_the_calendar() -> None:
    assert Span(years=9999).before(Moment.of("2024-01-01T00:00:00Z")) < Moment.of("0001-01-01T00:00:00Z").ns
    everything = [made("0001-01-01T00:00:00Z"), *daily(3)]
    judged = apply_policy(Policy(within_yearly=Span(years=9999)), everything, NOW_NS)
    assert [bool(kept.reasons) for kept in judged] == [True, False, False, True]


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("1y5m7d2h", Span(years=1, months=5, days=7, hours=2)),
        (" 14d ", Span(days=14)),
        ("3d2m1d", Span(months=2, days=1)),  # as restic: the last of each counts
    ],
)
def test_spans_are_read_as_restic_reads_them(text: str, span: Span) -> None:
    assert parse_span(text) == span
    assert parse_span(str(span)) == span


@pytest.mark.parametrize("text", ["", "7", "-1d", "1w", "1.5d", "d", "0d", "1d 2h", "٣d", "1D"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="span"):
        parse_span(text)


def test_reasons_are_in_restics_words_and_order() -> None:
    group = [made("2024-11-29T10:00:00Z", tags=("keep", "x")), made("2024-11-28T10:00:00Z")]
    policy = Policy(
        last=1,
        daily=5,
        monthly=UNLIMITED,
        within=Span(hours=1),
        within_weekly=Span(months=1),
        tags=(("keep", "x"),),
    )
    newest, oldest = apply_policy(policy, group, NOW_NS)
    assert newest.reasons == (
        "has tags [keep, x]",
        "within 1h",
        "last snapshot",
        "daily snapshot",
        "monthly snapshot",
        "weekly within 1m",
    )
    assert oldest.reasons == ("daily snapshot", "oldest monthly snapshot", "oldest weekly within 1m")


def test_a_count_that_is_used_up_does_not_keep_the_oldest() -> None:
    judged = apply_policy(Policy(daily=2), daily(5), NOW_NS)
    assert [bool(kept.reasons) for kept in judged] == [True, True, False, False, False]
    judged = apply_policy(Policy(monthly=6), daily(5), NOW_NS)
    assert [kept.reasons for kept in judged][1:] == [(), (), (), ("oldest monthly snapshot",)]


def test_days_are_those_of_the_clock_that_made_the_snapshot() -> None:
    late = made("2024-11-29T23:30:00-02:00")  # 01:30 of the 30th in UTC
    early = made("2024-11-30T00:30:00+02:00")  # 22:30 of the 29th in UTC
    judged = apply_policy(Policy(daily=5), [late, early], NOW_NS)
    assert [kept.reasons for kept in judged] == [("daily snapshot",), ("daily snapshot",)]


def test_spans_look_back_from_the_newest_that_is_not_in_the_future() -> None:
    ahead = made(text(NOW + timedelta(days=400)))
    judged = apply_policy(Policy(within=Span(days=2)), [ahead, *daily(4)], NOW_NS)
    assert [bool(kept.reasons) for kept in judged] == [True, True, True, False, False]
    assert all(kept.reasons for kept in apply_policy(Policy(within=Span(hours=1)), [ahead], NOW_NS))


@pytest.mark.parametrize(
    ("wanted", "own", "has"),
    [
        ((), (), True),
        (("a",), ("a", "b"), True),
        (("a", "b"), ("a",), False),
        (("",), (), True),
        (("",), ("a",), False),
        (("a", ""), (), False),
    ],
)
def test_an_empty_tag_is_had_by_what_has_none(
    wanted: tuple[str, ...], own: tuple[str, ...], *, has: bool
) -> None:
    assert has_tags(Snapshot(tree=TREE, tags=list(own) or None), wanted) is has
