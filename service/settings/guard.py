"""[sources.NAME.guard]: what is done when files are lost, or changed as no program of the owner's would."""

from dataclasses import dataclass
from typing import Final

import msgspec

from holdfast.service.settings import values
from holdfast.service.settings.document import Duration, convert_table
from holdfast.service.settings.place import Place

MISSING_POLICIES: Final = ("report", "ask", "restore")
DAMAGE_POLICIES: Final = ("report", "ask")


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardSettings:
    """The policy.

    on_missing: report, ask for approval, or restore at once. on_damaged: report or ask; a file that is there is never
    overwritten without approval. min_missing: fewer files than that count as deleted on purpose.
    max_changed_share, max_noise_share: shares of the source's files (0 to 1), above which changes are an alarm; alarms
    need min_alarm_files. read_share: share of seemingly unchanged files that are read and compared each time.
    """

    on_missing: str = "report"
    on_damaged: str = "ask"
    min_missing: int = 1
    max_changed_share: float = 0.5
    max_noise_share: float = 0.05
    min_alarm_files: int = 20
    read_share: float = 0.02
    approval_s: float = 7 * 86_400.0


class GuardOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One look at a source by another policy than its own, as a person of this host asks for it; empty: its own."""

    source: str
    on_missing: str = ""
    on_damaged: str = ""


class GuardTable(msgspec.Struct, kw_only=True, frozen=True):
    """[sources.NAME.guard]"""

    on_missing: str = "report"
    on_damaged: str = "ask"
    min_missing: int = 1
    max_changed_share: float = 0.5
    max_noise_share: float = 0.05
    min_alarm_files: int = 20
    read_share: float = 0.02
    approval: Duration = "7d"


def guard_settings(value: object, place: Place) -> GuardSettings:
    """The table, or its defaults where there is none; place: the source's.

    Raises:
        SettingsError: something in it is wrong.
    """
    here = place.below("guard")
    table = convert_table({} if value is None else value, GuardTable, here)
    for key in ("max_changed_share", "max_noise_share", "read_share"):
        if not 0.0 <= getattr(table, key) <= 1.0:
            here.refuse(key, "a share from 0 to 1 is expected", "Write 0.05 for 5 per cent.")
    for key in ("min_missing", "min_alarm_files"):
        if getattr(table, key) < 1:
            here.refuse(key, "it must be at least 1", "Leave it out for the default.")
    return GuardSettings(
        on_missing=values.choice(here, "on_missing", table.on_missing, MISSING_POLICIES),
        on_damaged=values.choice(here, "on_damaged", table.on_damaged, DAMAGE_POLICIES),
        min_missing=table.min_missing,
        max_changed_share=table.max_changed_share,
        max_noise_share=table.max_noise_share,
        min_alarm_files=table.min_alarm_files,
        read_share=table.read_share,
        approval_s=values.duration_s(here, "approval", table.approval, at_least_s=1.0),
    )
