"""`holdfast stats` counts what is in a repository."""

from dataclasses import dataclass
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
from holdfast.units import format_bytes

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
)
_WEEKS: Final = (Column("Week of"), Column("Snapshots", 1, Kind.NUMBER), Column("Added", 0, Kind.NUMBER))
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
            _tell_shares(options, reckon_shares(held, chosen))
        else:
            mode = CountMode(options.mode)
            _tell_counted(options, count(held, chosen, mode))
    return EXIT_COMPLETE


def _tell_counted(options: StatsOptions, counted: Counted) -> None:
    """The lines and the JSON are restic's."""
    if options.json:
        say_json(msgspec.to_builtins(counted))
        return
    say(f"Stats in {options.mode} mode:")
    rows = (
        ("Snapshots processed", str(counted.snapshots_count)),
        ("Total Blob Count", str(counted.total_blob_count or "")),
        ("Total File Count", str(counted.total_file_count or "")),
        ("Total Uncompressed Size", _size(counted.total_uncompressed_size)),
        ("Total Size", format_bytes(counted.total_size)),
        ("Compression Progress", _decimal(counted.compression_progress, "%")),
        ("Compression Ratio", _decimal(counted.compression_ratio, "x")),
        ("Compression Space Saving", _decimal(counted.compression_space_saving, "%")),
    )
    for name, value in rows:
        if value:
            say(f"{name:>24}:  {value}")


def _size(count_bytes: int) -> str:
    return format_bytes(count_bytes) if count_bytes else ""


def _decimal(value: float, unit: str) -> str:
    return f"{value:.2f}{unit}" if value > 0 else ""


def _tell_shares(options: StatsOptions, shares: Shares) -> None:
    if options.json:
        say_json(_document(shares))
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
        )
        for one in shares.sources
    ]
    weeks = [(str(one.monday), f"{one.snapshots:,}", format_bytes(one.added_bytes)) for one in shares.weeks]
    for columns, rows in ((_SNAPSHOTS, snapshots), (_SOURCES, sources), (_WEEKS, weeks)):
        say_flowed([*table(columns, rows), ""])


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
            }
            for one in shares.sources
        ],
        "weeks": [
            {"monday": str(one.monday), "snapshots": one.snapshots, "added_bytes": one.added_bytes}
            for one in shares.weeks
        ],
    }
