"""`holdfast cache` shows what this host keeps of repositories at a distance, and removes what is no longer used."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import typer

from holdfast.errors import EXIT_COMPLETE, UsageError
from holdfast.format.times import format_time
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import CommonOptions
from holdfast.starter.shell.output import say, say_flowed, say_json
from holdfast.starter.shell.table import Column, Kind, table
from holdfast.starter.shell.text import local_time
from holdfast.storage.cache import CachedRepository
from holdfast.units import NS_PER_S, counted, format_bytes

_DAY_S: Final = 86_400.0
_COLUMNS: Final = (
    Column("Repository"),
    Column("Last used", 2, Kind.TIME),
    Column("Files", 3, Kind.NUMBER),
    Column("Size", 1, Kind.NUMBER),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheOptions(CommonOptions):
    """Options of `cache`, as restic has them."""

    cleanup: Annotated[
        bool, typer.Option("--cleanup", help="Remove what was not used for --max-age days.")
    ] = False
    max_age: Annotated[int, typer.Option(metavar="DAYS", help="With --cleanup; 0 for all of it.")] = 30


def cache(options: CacheOptions) -> int:
    """Show what this host keeps of repositories at a distance: by the repository's id, with its last use and size.

    All of it may be removed at any time, in any way; what is needed is fetched again. Its folder and bound stand in the
    settings, table [cache].
    """
    invocation = Invocation.of(options)
    kept = invocation.settings.cache.cache()
    if kept is None:
        raise UsageError(
            "there is no cache: it is switched off, or this user has no home",
            hint="Name a folder with --cache-dir, or in the settings, table [cache].",
        )
    if options.max_age < 0:
        raise UsageError("--max-age: a number of days is expected", hint="Write 0 for all of it.")
    found = kept.repositories()
    removed: list[CachedRepository] = []
    if options.cleanup:
        unused_since_s = time.time() - options.max_age * _DAY_S
        removed = [cached for cached in found if cached.used_s <= unused_since_s]
        for cached in removed:
            kept.forget(cached.repository)
    _tell(options, str(kept.directory), kept.max_bytes, [one for one in found if one not in removed], removed)
    return EXIT_COMPLETE


def _tell(
    options: CacheOptions,
    directory: str,
    max_bytes: int,
    found: Sequence[CachedRepository],
    removed: Sequence[CachedRepository],
) -> None:
    if options.json:
        say_json(
            {
                "message_type": "cache",
                "directory": directory,
                "max_size": max_bytes,
                "repositories": [_document(cached) for cached in found],
                "removed": [_document(cached) for cached in removed],
            }
        )
        return
    rows = [
        [
            cached.repository[:10],
            local_time(int(cached.used_s) * NS_PER_S),
            f"{cached.files:,}",
            format_bytes(cached.size_bytes),
        ]
        for cached in found
    ]
    total = f"{format_bytes(sum(cached.size_bytes for cached in found))} of {format_bytes(max_bytes)} in {directory}"
    say_flowed(table(_COLUMNS, rows, total))
    if removed:
        freed = sum(cached.size_bytes for cached in removed)
        what = counted(len(removed), "repository", "repositories")
        say(f"removed what was kept of {what} ({format_bytes(freed)})")


def _document(cached: CachedRepository) -> dict[str, object]:
    return {
        "repository": cached.repository,
        "last_used": format_time(int(cached.used_s) * NS_PER_S),
        "files": cached.files,
        "size": cached.size_bytes,
    }
