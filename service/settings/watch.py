"""[sources.NAME.watch]: when changes of a source's files ask for a backup."""

from dataclasses import dataclass

import msgspec

from holdfast.service.settings import values
from holdfast.service.settings.document import Duration, Size, convert_table
from holdfast.service.settings.place import Place
from holdfast.terms import Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchSettings:
    """The condition. Of files, size_bytes and file_size_bytes any one suffices; when all are None, any change does.

    quiet_s: and nothing has changed for so long; max_age_s: but no change waits longer than this for its backup;
    min_interval_s: and the end of the backup before is at least so long ago.
    """

    files: int | None = None
    size_bytes: int | None = None
    file_size_bytes: int | None = None
    quiet_s: float = 30.0
    max_age_s: float = 3_600.0
    min_interval_s: float = 900.0
    strategy: Strategy = Strategy.INCREMENTAL


class WatchTable(msgspec.Struct, kw_only=True, frozen=True):
    """[sources.NAME.watch]"""

    files: int | None = None
    size: Size | None = None
    file_size: Size | None = None
    quiet: Duration = "30s"
    max_age: Duration = "1h"
    min_interval: Duration = "15m"
    strategy: str = "incremental"


def watch_settings(value: object, place: Place) -> WatchSettings | None:
    """The table, or None where there is none; place: the source's.

    Raises:
        SettingsError: something in it is wrong.
    """
    if value is None:
        return None
    here = place.below("watch")
    table = convert_table(value, WatchTable, here)
    if table.files is not None and table.files < 1:
        here.refuse("files", "it must be at least 1", "Leave it out for any number.")
    quiet_s = values.duration_s(here, "quiet", table.quiet)
    max_age_s = values.duration_s(here, "max_age", table.max_age, at_least_s=1.0)
    if quiet_s > max_age_s:
        here.refuse("quiet", "it is longer than max_age", "A change that waits for quiet would be late.")
    return WatchSettings(
        files=table.files,
        size_bytes=None if table.size is None else values.size_bytes(here, "size", table.size),
        file_size_bytes=None
        if table.file_size is None
        else values.size_bytes(here, "file_size", table.file_size),
        quiet_s=quiet_s,
        max_age_s=max_age_s,
        min_interval_s=values.duration_s(here, "min_interval", table.min_interval),
        strategy=values.choice(here, "strategy", table.strategy, Strategy),
    )
