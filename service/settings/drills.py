"""[drills.NAME]: trial restores, their checks, and the goals that they are held against."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import msgspec

from holdfast.drill.form import parse_sample, split_check
from holdfast.service.settings import values
from holdfast.service.settings.document import Duration, convert_table
from holdfast.service.settings.naming import check_known, named_tables
from holdfast.service.settings.place import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillProfile:
    """One drill by name.

    source: whose newest snapshot is restored. sample: "all", a share of the files ("5%") or so many bytes of them
    ("1GiB"). check: a command that is run in the restored tree, without a shell. rto_s: within how long everything must
    be back; rpo_s: how old the newest data may be; None where there is no such goal.
    """

    name: str
    source: str
    sample: str = "all"
    check: str | None = None
    check_timeout_s: float = 3600.0
    rto_s: float | None = None
    rpo_s: float | None = None


class DrillTable(msgspec.Struct, kw_only=True, frozen=True):
    """[drills.NAME]"""

    source: str
    sample: str = "all"
    check: str | None = None
    check_timeout: Duration = "1h"
    rto: Duration | None = None
    rpo: Duration | None = None


def drills(value: object, place: Place, sources: Mapping[str, object]) -> dict[str, DrillProfile]:
    """All of [drills]; sources: those that they can name.

    Raises:
        SettingsError: something in it is wrong.
    """
    return named_tables(value, place, partial(_drill, sources))


def _drill(sources: Mapping[str, object], name: str, value: object, place: Place) -> DrillProfile:
    table = convert_table(value, DrillTable, place)
    check_known(place, "source", table.source, sources, "source")
    with place.retelling("sample"):
        parse_sample(table.sample)
    if table.check is not None:
        with place.retelling("check"):
            split_check(table.check)
    return DrillProfile(
        name=name,
        source=table.source,
        sample=table.sample,
        check=table.check,
        check_timeout_s=values.duration_s(place, "check_timeout", table.check_timeout, at_least_s=1.0),
        rto_s=_goal(place, "rto", table.rto),
        rpo_s=_goal(place, "rpo", table.rpo),
    )


def _goal(place: Place, key: str, value: Duration | None) -> float | None:
    return None if value is None else values.duration_s(place, key, value, at_least_s=1.0)
