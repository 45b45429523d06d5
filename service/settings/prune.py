"""[prune]: how much unused data may stay, what a person has to approve, and how long a quiet moment is waited for."""

from dataclasses import dataclass
from typing import Final

import msgspec

from holdfast.errors import UsageError
from holdfast.service.settings import values
from holdfast.service.settings.document import Duration, Size, convert_table
from holdfast.service.settings.place import Place

DAY_S: Final = 86_400.0
_KEEP_MARKED_S: Final = 23 * 3600.0
"""What rustic waits by default (its --keep-delete)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneSettings:
    """The policy of this host's prunes.

    max_unused: how much unused data may stay, as restic's option says it: a share of what is used, a size, or
    "unlimited". max_repack_bytes: the most that one run copies; None for no limit. approve_over: the share of the
    repository's bytes (0 to 1) above which a person has to approve; approval_s: how long that may take. wait_s: how
    long a moment without locks of others is waited for; keep_marked_s: how long packs that are marked then stay at
    least. task_queue: of the workers that prune; None for the host's.
    """

    max_unused: str = "5%"
    max_repack_bytes: int | None = None
    approve_over: float = 0.5
    approval_s: float = 7 * DAY_S
    wait_s: float = 7 * DAY_S
    keep_marked_s: float = _KEEP_MARKED_S
    task_queue: str | None = None


class PruneTable(msgspec.Struct, kw_only=True, frozen=True):
    """[prune]"""

    max_unused: str = "5%"
    max_repack_size: Size | None = None
    approve_over: float = 0.5
    approval: Duration = "7d"
    wait: Duration = "7d"
    keep_marked: Duration = "23h"
    task_queue: str | None = None


def prune_settings(value: object, place: Place) -> PruneSettings:
    """[prune].

    Raises:
        SettingsError: something in it is wrong.
    """
    table = convert_table(value, PruneTable, place)
    if not 0.0 <= table.approve_over <= 1.0:
        place.refuse(
            "approve_over", "a share from 0 to 1 is expected", "Write 0.5 for half of it; 1 never asks."
        )
    if table.task_queue == "":
        place.refuse("task_queue", "it is empty", "Leave it out for the host's own queue.")
    size = table.max_repack_size
    return PruneSettings(
        max_unused=_max_unused(place, table.max_unused),
        max_repack_bytes=None if size is None else values.size_bytes(place, "max_repack_size", size),
        approve_over=table.approve_over,
        approval_s=values.duration_s(place, "approval", table.approval, at_least_s=1.0),
        wait_s=values.duration_s(place, "wait", table.wait, at_least_s=1.0),
        keep_marked_s=values.duration_s(place, "keep_marked", table.keep_marked, at_least_s=1.0),
        task_queue=table.task_queue,
    )


def _max_unused(place: Place, text: str) -> str:
    if text != PruneTable().max_unused:
        from holdfast.prune.decide import parse_max_unused  # noqa: PLC0415 - the engine, for a key that few write

        try:
            parse_max_unused(text, 0)
        except UsageError as error:
            place.refuse("max_unused", error.message, error.hint)
    return text
