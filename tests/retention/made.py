"""Snapshots as a policy sees them, without a repository; and hypothesis strategies for them and for policies."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone

import msgspec
from hypothesis import strategies as st

from holdfast.format.snapshot import Snapshot
from holdfast.format.times import parse_time
from holdfast.ids import SnapshotId, sha256
from holdfast.repository.snapshots import StoredSnapshot
from holdfast.retention.policy import UNLIMITED, Policy
from holdfast.retention.spans import Span
from holdfast.units import NS_PER_S

NOW = datetime(2024, 11, 30, 12, 0, tzinfo=UTC)
NOW_NS = int(NOW.timestamp()) * NS_PER_S
TREE = "ab" * 32
FIRST = datetime(2019, 1, 1, tzinfo=UTC)
OFFSETS = (timedelta(0), timedelta(hours=2), timedelta(hours=-9, minutes=-30))
TAGS = ("keep", "nightly", "monthly")


def made(
    time: str,
    *,
    tags: Sequence[str] = (),
    host: str = "mars",
    paths: Sequence[str] = ("/data",),
    **more: object,
) -> StoredSnapshot:
    """A snapshot of that RFC 3339 time; its id comes from all that it says."""
    said = {"time": time, "tree": TREE, "tags": list(tags) or None, "hostname": host, "paths": list(paths)}
    snapshot = msgspec.convert(said | more, Snapshot)
    return StoredSnapshot(
        id=SnapshotId(sha256(repr(snapshot).encode())), snapshot=snapshot, time_ns=parse_time(time)
    )


def text(time: datetime, offset: timedelta = timedelta(0)) -> str:
    """RFC 3339 of a time, by a clock with that offset."""
    return time.astimezone(timezone(offset)).isoformat().replace("+00:00", "Z")


def daily(count: int, *, until: datetime = NOW, every: timedelta = timedelta(days=1)) -> list[StoredSnapshot]:
    """So many snapshots, the last one an hour before `until`, oldest first."""
    last = until - timedelta(hours=1)
    return [made(text(last - number * every)) for number in reversed(range(count))]


TIMES = st.builds(
    text,
    st.datetimes(FIRST.replace(tzinfo=None), NOW.replace(tzinfo=None) - timedelta(minutes=1)).map(
        lambda time: time.replace(tzinfo=UTC, microsecond=0)
    ),
    st.sampled_from(OFFSETS),
)
CLOSE_TIMES = st.builds(
    lambda hours, offset: text(NOW - timedelta(hours=hours, minutes=7), offset),
    st.integers(0, 24 * 40),
    st.sampled_from(OFFSETS),
)
SNAPSHOTS = st.builds(
    made, TIMES | CLOSE_TIMES, tags=st.lists(st.sampled_from(TAGS), max_size=2, unique=True)
)
GROUPS = st.lists(SNAPSHOTS, max_size=40, unique_by=lambda stored: stored.time_ns)
COUNTS = st.just(0) | st.integers(0, 12)
ANY_COUNTS = COUNTS | st.just(UNLIMITED)
SPANS = st.just(Span()) | st.builds(
    Span,
    years=st.integers(0, 2),
    months=st.integers(0, 14),
    days=st.integers(0, 40),
    hours=st.integers(0, 30),
)
PERIODS = ("hourly", "daily", "weekly", "monthly", "yearly")


def policies(counts: st.SearchStrategy[int] = ANY_COUNTS) -> st.SearchStrategy[Policy]:
    """Policies of any rules."""
    return st.builds(
        Policy,
        last=counts,
        **dict.fromkeys(PERIODS, counts),
        **{f"within_{word}": SPANS for word in PERIODS},
        within=SPANS,
        tags=st.lists(st.sampled_from([("keep",), ("nightly", "keep"), ("monthly",)]), max_size=2).map(tuple),
    )
