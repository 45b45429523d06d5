"""`holdfast stats` counts what is in a repository."""

import os
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Final

import msgspec
import typer

from holdfast.errors import EXIT_COMPLETE, UsageError
from holdfast.ids import short, to_hex
from holdfast.repository.snapshots import chosen_snapshots, list_snapshots, raise_unreadable
from holdfast.starter.requests.choice import choice_of, place_of, refuse_unknown
from holdfast.starter.requests.repositories import open_for_reading, repository_session
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import SnapshotFilterOptions, Texts, one_word
from holdfast.starter.shell.output import say, say_flowed, say_json
from holdfast.starter.shell.table import Column, Kind, table
from holdfast.starter.shell.text import local_time
from holdfast.stats.modes import Counted, CountMode, count
from holdfast.stats.shares import Shares, reckon_shares
from holdfast.storage.contract import Storage
from holdfast.units import counted, format_bytes

_SHARES: Final = "shares"
_SNAPSHOTS: Final = (
    Column("Snapshot"),
    Column("Time", 2, Kind.TIME),
    Column("Host", 3, Kind.PATH),
    Column("Only there", 0, Kind.NUMBER),
    Column("Added", 1, Kind.NUMBER),
)
_SOURCES: Final = (
    Column("Host", 2, Kind.PATH),
    Column("Source", 0, Kind.PATH),
    Column("Snapshots", 1, Kind.NUMBER),
    Column("Only there", 0, Kind.NUMBER),
    Column("Growth", 0, Kind.NUMBER),
)
_WEEKS: Final = (Column("Week of"), Column("Snapshots", 1, Kind.NUMBER), Column("Added", 0, Kind.NUMBER))
_FORESEEN_DAYS: Final = 3_650
MODES: Final = (*(mode.value for mode in CountMode), _SHARES)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsOptions(SnapshotFilterOptions):
    """Options of `stats`."""

    snapshots: Annotated[
        Texts,
        typer.Argument(
            metavar="[SNAPSHOT…]", help="Only these; else all that pass the filters.", show_default=False
        ),
    ] = ()
    mode: Annotated[
        str,
        typer.Option(
            metavar="MODE",
            help="restore-size, files-by-contents, blobs-per-file, raw-data; or shares: what each snapshot and source "
            "has alone, and what each week has added.",
        ),
    ] = CountMode.RESTORE_SIZE.value


def stats(options: StatsOptions) -> int:
    """Count what snapshots hold, in one of restic's ways; or what each source takes, and how the repository grows."""
    one_word("--mode", options.mode, MODES)
    invocation = Invocation.of(options)
    choice = choice_of(invocation, options)
    if options.mode == _SHARES and (options.snapshots or choice):
        raise UsageError(
            "--mode shares speaks of the whole repository",
            hint="Name no snapshots, sources, hosts, paths or tags.",
        )
    repository = open_for_reading(invocation, no_lock=options.no_lock, fallback=place_of(invocation, options))
    on_unreadable = None if options.ignore_damaged else raise_unreadable
    with repository_session(repository) as session, session.hold() as held:
        if choice and not options.snapshots:
            refuse_unknown(choice, list_snapshots(repository, on_unreadable=on_unreadable))
        chosen = chosen_snapshots(repository, options.snapshots, choice, on_unreadable=on_unreadable)
        held.refresh()  # what was found since may need what was written since
        if options.mode == _SHARES:
            _tell_shares(options, reckon_shares(held, chosen), free_where(repository.storage))
        else:
            mode = CountMode(options.mode)
            _tell_counted(options, count(held, chosen, mode))
    return EXIT_COMPLETE


def _tell_counted(options: StatsOptions, found: Counted) -> None:
    """The lines and the JSON are restic's."""
    if options.json:
        say_json(msgspec.to_builtins(found))
        return
    say(f"Stats in {options.mode} mode:")
    rows = (
        ("Snapshots processed", str(found.snapshots_count)),
        ("Total Blob Count", str(found.total_blob_count or "")),
        ("Total File Count", str(found.total_file_count or "")),
        ("Total Uncompressed Size", _size(found.total_uncompressed_size)),
        ("Total Size", format_bytes(found.total_size)),
        ("Compression Progress", _decimal(found.compression_progress, "%")),
        ("Compression Ratio", _decimal(found.compression_ratio, "x")),
        ("Compression Space Saving", _decimal(found.compression_space_saving, "%")),
    )
    for name, value in rows:
        if value:
            say(f"{name:>24}:  {value}")


def _size(count_bytes: int) -> str:
    return format_bytes(count_bytes) if count_bytes else ""


def _decimal(value: float, unit: str) -> str:
    return f"{value:.2f}{unit}" if value > 0 else ""


def _tell_shares(options: StatsOptions, shares: Shares, free_bytes: int | None) -> None:
    if options.json:
        say_json(_document(shares) | {"free_bytes": free_bytes})
        return
    snapshots = [
        (
            short(one.stored.id),
            local_time(one.stored.time_ns),
            one.stored.snapshot.hostname,
            format_bytes(one.unique_bytes),
            format_bytes(one.added_bytes),
        )
        for one in shares.snapshots
    ]
    sources = [
        (
            one.source.host,
            one.source.source or "\n".join(one.source.paths),
            f"{one.snapshots:,}",
            format_bytes(one.unique_bytes),
            "" if one.added_per_week is None else f"+{format_bytes(one.added_per_week)}/week",
        )
        for one in shares.sources
    ]
    weeks = [(str(one.monday), f"{one.snapshots:,}", format_bytes(one.added_bytes)) for one in shares.weeks]
    for columns, rows in ((_SNAPSHOTS, snapshots), (_SOURCES, sources), (_WEEKS, weeks)):
        say_flowed([*table(columns, rows), ""])
    say_flowed([_room(shares, free_bytes)])


def _room(shares: Shares, free_bytes: int | None) -> str:
    """How much room is left, and until when it lasts at this growth."""
    if free_bytes is None:
        return "the place does not say how much room it has"
    grows = sum(one.added_per_week or 0 for one in shares.sources)
    free = f"{format_bytes(free_bytes)} are free where the repository lies"
    if not grows:
        return free
    days = free_bytes * 7 // grows
    if days > _FORESEEN_DAYS:
        return f"{free}; at {format_bytes(grows)} a week that lasts for more than ten years"
    until = date.today() + timedelta(days=days)  # noqa: DTZ011 - a day of the local zone, years ahead
    return f"{free}; at {format_bytes(grows)} a week it is full on {until} (in {counted(days, 'day')})"


def free_where(storage: Storage) -> int | None:
    """The room on the disk of a repository in a directory; None of another place, or one that does not say."""
    directory = storage.traits.directory
    if directory is None:
        return None
    try:
        space = os.statvfs(directory)
    except OSError:
        return None
    return space.f_bavail * space.f_frsize


def _document(shares: Shares) -> dict[str, object]:
    return {
        "snapshots": [
            {
                "id": to_hex(one.stored.id),
                "time": one.stored.snapshot.time,
                "hostname": one.stored.snapshot.hostname,
                "unique_bytes": one.unique_bytes,
                "added_bytes": one.added_bytes,
            }
            for one in shares.snapshots
        ],
        "sources": [
            {
                "hostname": one.source.host,
                "source": one.source.source,
                "paths": list(one.source.paths),
                "snapshots": one.snapshots,
                "unique_bytes": one.unique_bytes,
                "added_bytes_per_week": one.added_per_week,
            }
            for one in shares.sources
        ],
        "weeks": [
            {"monday": str(one.monday), "snapshots": one.snapshots, "added_bytes": one.added_bytes}
            for one in shares.weeks
        ],
    }
