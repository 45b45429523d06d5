"""Holds and alarms: kept beside the repository, on record with a name and a reason, and in nobody's way otherwise."""

import time
from pathlib import Path

import pytest

from holdfast.errors import CorruptFileError, SnapshotNotFoundError, UsageError
from holdfast.ids import short, to_hex
from holdfast.repository.layout import SNAPSHOTS, file_name
from holdfast.repository.session import RepositorySession
from holdfast.repository.snapshots import StoredSnapshot, list_snapshots
from holdfast.retention.holds import (
    HOLDS,
    AlarmNote,
    Proofs,
    hold,
    list_holds,
    open_alarms,
    parse_until,
    protections,
    raise_alarm,
    release,
    settle_alarm,
)
from holdfast.storage.local import LocalStorage
from tests.interop.test_retention import write
from tests.retention.made import NOW_NS, daily, made
from tests.support.engine import new_session

DAY_NS = 86_400 * 10**9


def snapshots(session: RepositorySession, count: int = 2) -> list[StoredSnapshot]:
    write(session, daily(count))
    return list_snapshots(session.repository)


def test_a_hold_stands_until_its_end_or_its_release(tmp_path: Path) -> None:
    with new_session(tmp_path / "repository") as session:
        first, second = snapshots(session)
        hold(session.repository, first, by="Ann", reason="audit", now_ns=NOW_NS)
        hold(session.repository, second, by="Bob", reason="tax", now_ns=NOW_NS + 1, until_ns=NOW_NS + DAY_NS)
        assert [(one.by, one.reason) for one in list_holds(session.repository)] == [
            ("Ann", "audit"),
            ("Bob", "tax"),
        ]
        now = protections(session.repository, (), Proofs(), NOW_NS)
        assert now.holding(first, NOW_NS) == ("held: audit (Ann)",)
        assert now.holding(second, NOW_NS) == ("held: tax (Bob)",)
        later = protections(session.repository, (), Proofs(), NOW_NS + DAY_NS)
        assert later.holding(second, NOW_NS) == ()
        assert release(session.repository, short(first.id)).reason == "audit"
        assert protections(session.repository, (), Proofs(), NOW_NS).holding(first, NOW_NS) == ()
        with pytest.raises(UsageError, match="no hold is on a snapshot that begins with"):
            release(session.repository, short(first.id))


def test_a_hold_of_a_changed_snapshot_holds_what_it_came_from(tmp_path: Path) -> None:
    with new_session(tmp_path / "repository") as session:
        original = daily(1)[0]
        write(session, [made(original.snapshot.time, tags=("a",), original=to_hex(original.id))])
        (stored,) = list_snapshots(session.repository)
        hold(session.repository, stored, by="Ann", reason="audit", now_ns=NOW_NS)
        again = made(original.snapshot.time, tags=("b",), original=to_hex(original.id))
        known = protections(session.repository, (), Proofs(), NOW_NS)
        assert known.holding(again, NOW_NS) == ("held: audit (Ann)",)


@pytest.mark.parametrize(
    ("by", "reason", "until_ns", "wrong"),
    [
        ("", "audit", 0, "name"),
        ("Ann", "  ", 0, "reason"),
        ("Ann", "x" * 501, 0, "reason"),
        ("Ann", "a", 1, "past"),
    ],
)
def test_a_hold_needs_a_name_a_reason_and_an_end_to_come(
    tmp_path: Path, by: str, reason: str, until_ns: int, wrong: str
) -> None:
    with new_session(tmp_path / "repository") as session:
        stored = snapshots(session)[0]
        with pytest.raises(UsageError, match=wrong):
            hold(session.repository, stored, by=by, reason=reason, now_ns=NOW_NS, until_ns=until_ns)
        assert list_holds(session.repository) == []


def test_a_hold_on_what_was_forgotten_just_then_says_so(tmp_path: Path) -> None:
    with new_session(tmp_path / "repository") as session:
        stored = snapshots(session)[0]
        session.repository.storage.delete(file_name(SNAPSHOTS, stored.id))
        with pytest.raises(SnapshotNotFoundError, match="forgotten just now"):
            hold(session.repository, stored, by="Ann", reason="audit", now_ns=NOW_NS)
        assert len(list_holds(session.repository)) == 1


def test_a_damaged_hold_stops_every_decision(tmp_path: Path) -> None:
    with new_session(tmp_path / "repository") as session:
        stored = snapshots(session)[0]
        session.repository.companion.put(f"{HOLDS}/{to_hex(stored.id)}", b"damaged")
        with pytest.raises(CorruptFileError, match=HOLDS):
            protections(session.repository, (), Proofs(), NOW_NS)


def test_an_alarm_stands_until_it_is_settled_and_the_later_one_counts(tmp_path: Path) -> None:
    with new_session(tmp_path / "repository") as session:
        for since_ns in (5, 9, 7):
            note = AlarmNote(
                host="mars", source="docs", paths=("/data",), since_ns=since_ns, alarm=f"{since_ns}", run="r"
            )
            raise_alarm(session.repository, note)
        other = AlarmNote(host="mars", source="db", paths=(), since_ns=6, alarm="gone", run="r")
        raise_alarm(session.repository, other)
        assert [note.alarm for note in open_alarms(session.repository)] == ["gone", "9"]
        assert b"docs" not in b"".join(
            name.name.encode() for name in session.repository.companion.list("holdfast")
        )
        settled = settle_alarm(session.repository, "mars", "docs")
        assert settled is not None
        assert settled.alarm == "9"
        assert open_alarms(session.repository) == [other]
        assert settle_alarm(session.repository, "mars", "docs") is None


def test_a_repository_is_as_old_as_its_oldest_key_unless_most_snapshots_are_older(tmp_path: Path) -> None:
    with new_session(tmp_path / "repository") as session:
        ancient = made("1980-01-01T00:00:00Z")
        ahead = [made(f"2099-01-0{day}T00:00:00Z") for day in (1, 2)]
        known = protections(session.repository, [ancient, *ahead], Proofs(), NOW_NS)
        assert known.implausible(ancient, NOW_NS) == "dated before its repository"
        assert 0 < known.born_ns <= time.time_ns()
        assert protections(session.repository, [ancient, ahead[0]], Proofs(), NOW_NS).born_ns == 0


def test_the_end_of_a_hold_is_a_date_or_a_time() -> None:
    assert parse_until("1970-01-01") == DAY_NS
    assert parse_until("1970-01-01T01:00:00+01:00") == 0
    with pytest.raises(UsageError, match="no date"):
        parse_until("tomorrow")


def test_what_was_held_before_the_companion_was_moved_is_held_still(tmp_path: Path) -> None:
    with new_session(tmp_path / "repository") as session:
        first, second = snapshots(session)
        hold(session.repository, first, by="Ann", reason="audit", now_ns=NOW_NS)
        session.repository.companion = LocalStorage(tmp_path / "companion")
        hold(session.repository, second, by="Bob", reason="tax", now_ns=NOW_NS + 1)
        assert [one.by for one in list_holds(session.repository)] == ["Ann", "Bob"]
        release(session.repository, short(first.id))
        assert [one.by for one in list_holds(session.repository)] == ["Bob"]
