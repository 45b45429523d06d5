"""Shows how sources stand: a table, what is wrong with each in full, and the document for programs."""

from collections.abc import Sequence
from typing import Final

from holdfast.contracts.identity import short_id
from holdfast.control.names import location_of, subject_of
from holdfast.control.records import why
from holdfast.control.standing.state import Next, Standing, State
from holdfast.control.standing.survey import Survey
from holdfast.service.settings.model import Settings
from holdfast.starter.shell.table import Column, Kind, table
from holdfast.starter.shell.text import named_time
from holdfast.terms import RunKind, RunStatus
from holdfast.units import NS_PER_S, counted, format_age, format_bytes

_COLUMNS: Final = (
    Column("State", kind=Kind.STATE),
    Column("Source", kind=Kind.PATH),
    Column("Repository", rank=2, kind=Kind.PATH),
    Column("Last good", kind=Kind.STATE),
    Column("Verified", rank=3, kind=Kind.STATE),
    Column("Proven", rank=4, kind=Kind.STATE),
    Column("Size", rank=5, kind=Kind.NUMBER),
    Column("Growth", rank=6, kind=Kind.NUMBER),
    Column("Next", rank=1),
)


def lines(settings: Settings, found: Survey, now_ns: int) -> list[str]:
    """The table, worst first, and below it what is wrong with each."""
    if not found.standings:
        return ["no source is declared, and none was ever backed up: `holdfast backup --help`"]
    hosts = {one.facts.subject.host for one in found.standings}
    rows = [_row(settings, one, now_ns, with_host=len(hosts) > 1) for one in found.standings]
    more = f"; {found.left_out:,} more, not declared, have no backup of the last month (--all)"
    footer = counted(len(rows), "source") + (more if found.left_out else "")
    notes = [line for one in found.standings for line in troubles(settings, one)]
    return [*table(_COLUMNS, rows, footer), *([""] if notes else []), *notes]


def troubles(settings: Settings, one: Standing) -> list[str]:
    """What is wrong with a source, in full: each a line."""
    facts, name = one.facts, name_of(settings, one)
    found = []
    if facts.failures:
        newest, first = facts.failures[0], facts.failures[-1]
        times = counted(len(facts.failures), "time")
        reason = why(settings, newest)
        words = newest.failure_kind if reason is None else reason.in_full
        found.append(
            f"{name}: failed {times} since {named_time(first.started_ns)}: {words} "
            f"(`holdfast run show {short_id(newest.run_id)}`)"
        )
    elif one.state is State.NEVER:
        found.append(f"{name}: never backed up")
    elif one.state is State.OVERDUE and one.since_ns is not None:
        found.append(
            f"{name}: overdue since {named_time(one.since_ns)}; nothing failed since, and nothing ended well"
        )
    if facts.wait is not None:
        found.append(f"{name}: WAITS: {facts.wait.in_full}")
    good = facts.good
    if good is not None and good.status is RunStatus.PARTIAL:
        lacking = counted(good.totals.errors, "path")
        found.append(
            f"{name}: partial, {lacking} could not be read (`holdfast run show {short_id(good.run_id)}`)"
        )
    return found


def name_of(settings: Settings, one: Standing) -> str:
    """The source as a person knows it."""
    subject = one.facts.subject
    return subject_of(settings, RunKind.BACKUP, subject.source, subject.repository)


def in_full(settings: Settings, one: Standing, now_ns: int) -> list[tuple[str, str]]:
    """Everything that is known of a source, as names and values; what is not known is empty."""
    facts, good = one.facts, one.facts.good
    since = "" if one.since_ns is None else f" since {named_time(one.since_ns)}"
    return [
        ("Source", name_of(settings, one)),
        ("Repository", location_of(settings, facts.subject.repository)),
        ("Host", facts.subject.host),
        ("State", f"{one.state}{since}"),
        (
            "Last good",
            "NEVER" if good is None else f"{named_time(good.started_ns)} ({_last_good(one, now_ns)})",
        ),
        ("Snapshot", "" if good is None else good.snapshot_id[:8]),
        (
            "Verified",
            "NEVER"
            if facts.verified is None
            else f"{facts.verified.level}, {_ago(facts.verified.at_ns, now_ns)} ago",
        ),
        ("Proven", _proven_in_full(one, now_ns)),
        ("Size", "" if one.size_bytes is None else format_bytes(one.size_bytes)),
        (
            "Growth",
            "" if facts.added_per_week is None else f"{format_bytes(facts.added_per_week)} a week, as stored",
        ),
        ("Next", _next(facts.next, now_ns)),
    ]


def document(settings: Settings, one: Standing, now_ns: int) -> dict[str, object]:
    """A source for programs. Times in nanoseconds since 1970; null is what is not known."""
    facts, good = one.facts, one.facts.good
    newest = facts.failures[0] if facts.failures else None
    reason = None if newest is None else why(settings, newest)
    return {
        "source": facts.subject.source,
        "subject": name_of(settings, one),
        "repository": location_of(settings, facts.subject.repository),
        "host": facts.subject.host,
        "state": one.state.value,
        "since_ns": one.since_ns,
        "last_good_ns": None if good is None else good.started_ns,
        "age_s": None if good is None else max(0, now_ns - good.started_ns) // NS_PER_S,
        "max_age_s": facts.max_age_s,
        "snapshot_id": None if good is None else good.snapshot_id,
        "unreadable_paths": None if good is None else good.totals.errors,
        "failures": len(facts.failures),
        "last_failure": None
        if newest is None
        else {
            "run_id": newest.run_id,
            "started_ns": newest.started_ns,
            "failure": newest.failure_kind,
            "message": "" if reason is None else reason.text,
            "next_step": "" if reason is None else reason.next_step,
        },
        "waits_for": None if facts.wait is None else facts.wait.document,
        "verified": None
        if facts.verified is None
        else {"level": facts.verified.level, "at_ns": facts.verified.at_ns},
        "proven": None
        if facts.proof is None
        else {
            "run_id": facts.proof.run_id,
            "at_ns": facts.proof.started_ns,
            "snapshot_id": facts.proof.snapshot_id,
        },
        "size_bytes": one.size_bytes,
        "added_bytes_per_week": facts.added_per_week,
        "next_ns": facts.next.at_ns,
        "next_note": facts.next.note,
    }


def _row(settings: Settings, one: Standing, now_ns: int, *, with_host: bool) -> Sequence[str]:
    facts = one.facts
    host = f"@{facts.subject.host}" if with_host else ""
    return (
        one.state.value,
        f"{name_of(settings, one)}{host}",
        location_of(settings, facts.subject.repository),
        _last_good(one, now_ns),
        "NEVER" if facts.verified is None else f"{facts.verified.level} {_ago(facts.verified.at_ns, now_ns)}",
        "NEVER" if facts.proof is None else _ago(facts.proof.started_ns, now_ns),
        "" if one.size_bytes is None else format_bytes(one.size_bytes),
        "" if facts.added_per_week is None else f"+{format_bytes(facts.added_per_week)}/week",
        _next(facts.next, now_ns),
    )


def _last_good(one: Standing, now_ns: int) -> str:
    """The age of the newest good backup, against the one that it may have."""
    good, max_age_s = one.facts.good, one.facts.max_age_s
    age = "NEVER" if good is None else _ago(good.started_ns, now_ns)
    return age if max_age_s is None else f"{age} of {format_age(round(max_age_s * NS_PER_S))}"


def _proven_in_full(one: Standing, now_ns: int) -> str:
    proof = one.facts.proof
    if proof is None:
        return "NEVER"
    return f"{_ago(proof.started_ns, now_ns)} ago, from snapshot {proof.snapshot_id[:8]}"


def _next(following: Next, now_ns: int) -> str:
    if following.at_ns is None:
        return following.note
    return f"in {format_age(max(0, following.at_ns - now_ns))}"


def _ago(ns: int, now_ns: int) -> str:
    return format_age(max(0, now_ns - ns))
