"""Shows decisions, the bin, holds and calendars: tables for people, and documents as restic's JSON has them."""

from collections.abc import Mapping, Sequence
from typing import Final

from holdfast.format.times import format_time
from holdfast.ids import SnapshotId, short, to_hex
from holdfast.retention.bin import Binned
from holdfast.retention.calendar import Calendar
from holdfast.retention.decision import Decision, Verdict
from holdfast.retention.groups import Group
from holdfast.retention.holds import AlarmNote, Hold
from holdfast.starter.shell.table import Column, Kind, table
from holdfast.starter.shell.text import local_time
from holdfast.starter.view.snapshots import snapshot_document
from holdfast.units import NS_PER_S, counted, format_age, format_bytes

Document = dict[str, object]

_DECISION: Final = (Column("ID"), Column("Time", 1, Kind.TIME), Column("Would", 0, Kind.STATE))
_ALONE: Final = Column("Alone", 3, Kind.NUMBER)
_REASONS: Final = Column("Reasons", 2)
_CALENDAR: Final = (
    Column("Month"),
    Column("Made", 2, Kind.NUMBER),
    Column("There", 0, Kind.NUMBER),
    Column("Of today's go", 1),
)
_BIN: Final = (
    Column("ID"),
    Column("Time", 3, Kind.TIME),
    Column("Host", 4, Kind.PATH),
    Column("Forgotten", 2, Kind.TIME),
    Column("Stays until", 0, Kind.TIME),
    Column("Why", 1),
)
_HOLDS: Final = (
    Column("Snapshot"),
    Column("By", 1, Kind.PATH),
    Column("Since", 3, Kind.TIME),
    Column("Until", 2, Kind.TIME),
    Column("Reason"),
)
_ALARMS: Final = (
    Column("Source", 0, Kind.PATH),
    Column("Host", 2, Kind.PATH),
    Column("All before", 1, Kind.TIME),
    Column("Alarm"),
)


def decision_lines(decision: Decision, sizes: Mapping[SnapshotId, int] | None = None) -> list[str]:
    """A table for each group. sizes: the bytes that only each snapshot needs."""
    lines: list[str] = []
    for one in decision.groups:
        going = sum(not verdict.stays for verdict in one.verdicts)
        columns = (*_DECISION, *((_ALONE,) if sizes is not None else ()), _REASONS)
        rows = [_row(verdict, sizes) for verdict in one.verdicts]
        footer = f"{len(one.verdicts) - going:,} would stay, {going:,} would go"
        lines += [f"{one.group}:", *table(columns, rows, footer), ""]
    return lines or ["there are no snapshots"]


def decision_documents(decision: Decision, sizes: Mapping[SnapshotId, int] | None = None) -> list[Document]:
    """Groups as `restic forget --json` has them, with the source; and why each one goes."""
    return [
        {
            "tags": list(one.group.tags) or None,
            "host": one.group.host,
            "source": one.group.source,
            "paths": list(one.group.paths) or None,
            "keep": [_document(verdict, sizes) for verdict in one.verdicts if verdict.stays],
            "remove": [_document(verdict, sizes) for verdict in one.verdicts if not verdict.stays],
            "reasons": [
                {"snapshot": snapshot_document(verdict.stored), "matches": list(verdict.reasons)}
                for verdict in one.verdicts
                if verdict.stays
            ],
        }
        for one in decision.groups
    ]


def freed_line(count: int, freed: int) -> str:
    """What goes, and what that frees once the bin has let go of it and a prune has run."""
    what = counted(count, "snapshot would go: it frees", "snapshots would go: together they free")
    return f"{what} {format_bytes(freed)} once out of the bin"


def calendar_lines(group: Group, found: Calendar) -> list[str]:
    """The months to come."""
    rows = [
        (month.name, f"{month.made:,}", f"{month.there:,}", "\n".join(map(short, month.going)))
        for month in found.months
    ]
    every = format_age(found.every_ns)
    return ["", f"{group}, with a snapshot every {every}:", *table(_CALENDAR, rows)]


def calendar_document(found: Calendar) -> Document:
    """The same for programs; when each snapshot of today goes, if it does within the year."""
    return {
        "every_seconds": found.every_ns / NS_PER_S,
        "months": [
            {
                "month": month.name,
                "made": month.made,
                "there": month.there,
                "going": [to_hex(snapshot_id) for snapshot_id in month.going],
            }
            for month in found.months
        ],
        "goes": {to_hex(snapshot_id): format_time(goes_ns) for snapshot_id, goes_ns in found.goes_ns.items()},
    }


def bin_lines(binned: Sequence[Binned]) -> list[str]:
    """What can be taken back."""
    rows = [
        (
            short(one.stored.id),
            local_time(one.stored.time_ns),
            one.stored.snapshot.hostname,
            local_time(one.forgotten_ns),
            local_time(one.until_ns),
            f"{one.reason} ({one.by})" if one.by else one.reason,
        )
        for one in binned
    ]
    return table(_BIN, rows, f"{counted(len(rows), 'snapshot')} in the bin")


def bin_document(one: Binned) -> Document:
    """The same for programs."""
    return snapshot_document(one.stored) | {
        "forgotten": format_time(one.forgotten_ns),
        "until": format_time(one.until_ns),
        "by": one.by,
        "reason": one.reason,
    }


def hold_lines(holds: Sequence[Hold], alarms: Sequence[AlarmNote], now_ns: int) -> list[str]:
    """What is held, and by whom."""
    rows = [
        (
            short(one.snapshot),
            one.by,
            local_time(one.since_ns),
            _until(one, now_ns),
            one.reason,
        )
        for one in holds
    ]
    lines = table(_HOLDS, rows, counted(len(rows), "hold"))
    if alarms:
        found = [(note.source, note.host, local_time(note.since_ns), note.alarm) for note in alarms]
        lines += ["", *table(_ALARMS, found, counted(len(found), "alarm"))]
    return lines


def hold_documents(holds: Sequence[Hold], alarms: Sequence[AlarmNote]) -> Document:
    """The same for programs."""
    return {
        "holds": [
            {
                "snapshot": to_hex(one.snapshot),
                "by": one.by,
                "reason": one.reason,
                "since": format_time(one.since_ns),
                "until": format_time(one.until_ns) if one.until_ns else None,
            }
            for one in holds
        ],
        "alarms": [
            {
                "source": note.source,
                "host": note.host,
                "since": format_time(note.since_ns),
                "alarm": note.alarm,
                "run_id": note.run,
            }
            for note in alarms
        ],
    }


def _row(verdict: Verdict, sizes: Mapping[SnapshotId, int] | None) -> tuple[str, ...]:
    stored = verdict.stored
    alone = () if sizes is None else (format_bytes(sizes.get(stored.id, 0)),)
    word = "stay" if verdict.stays else "GO"
    return short(stored.id), local_time(stored.time_ns), word, *alone, "\n".join(verdict.reasons)


def _document(verdict: Verdict, sizes: Mapping[SnapshotId, int] | None) -> Document:
    more: Document = {} if verdict.stays else {"reason": verdict.reasons[0]}
    if sizes is not None:
        more["bytes_alone"] = sizes.get(verdict.stored.id, 0)
    return snapshot_document(verdict.stored) | more


def _until(one: Hold, now_ns: int) -> str:
    if not one.until_ns:
        return ""
    return local_time(one.until_ns) + ("" if one.stands(now_ns) else " (over)")
