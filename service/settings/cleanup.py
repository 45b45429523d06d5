"""[cleanup]: after what time that goes which nobody goes on with."""

from dataclasses import dataclass
from typing import Final

import msgspec

from holdfast.service.settings import values
from holdfast.service.settings.document import Duration, convert_table
from holdfast.service.settings.place import Place

DAY_S: Final = 86_400.0
_SHORTEST_S: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanupSettings:
    """runs_after_s: how long a run that failed or was cancelled can be resumed. leftovers_after_s: temporary files of
    crashes, and what killed drills have restored."""

    runs_after_s: float = 30 * DAY_S
    leftovers_after_s: float = DAY_S


class CleanupTable(msgspec.Struct, kw_only=True, frozen=True):
    """[cleanup]"""

    runs_after: Duration = "30d"
    leftovers_after: Duration = "1d"


def cleanup(value: object, place: Place) -> CleanupSettings:
    """[cleanup].

    Raises:
        SettingsError: something in it is wrong; less than an hour might take what is still being written.
    """
    table = convert_table(value, CleanupTable, place)
    return CleanupSettings(
        runs_after_s=values.duration_s(place, "runs_after", table.runs_after, at_least_s=_SHORTEST_S),
        leftovers_after_s=values.duration_s(
            place, "leftovers_after", table.leftovers_after, at_least_s=_SHORTEST_S
        ),
    )
