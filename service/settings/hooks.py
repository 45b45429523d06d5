"""[hooks.NAME]: commands that run before and after a backup of a source or a system, and what their failure means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from holdfast.service.settings import values
from holdfast.service.settings.commands import Command, command_words
from holdfast.service.settings.document import Duration, convert_table
from holdfast.service.settings.naming import check_known, named_tables
from holdfast.service.settings.place import Place

FAILURES: Final = ("fail", "warn")


@dataclass(frozen=True, slots=True, kw_only=True)
class HookProfile:
    """One hook by name. must_succeed: its failure before a backup prevents that, and after it makes it partial."""

    name: str
    command: tuple[str, ...]
    timeout_s: float = 600.0
    must_succeed: bool = True


class HookTable(msgspec.Struct, kw_only=True, frozen=True):
    """[hooks.NAME]"""

    command: Command
    timeout: Duration = "10m"
    on_failure: str = "fail"


def hooks(value: object, place: Place) -> dict[str, HookProfile]:
    """All of [hooks].

    Raises:
        SettingsError: something in it is wrong.
    """
    return named_tables(value, place, _hook)


def hook_names(
    place: Place, key: str, written: Sequence[str], known: Mapping[str, HookProfile]
) -> tuple[str, ...]:
    """The hooks that a source or a system names, in the order in which they run.

    Raises:
        SettingsError: there is none of that name.
    """
    for number, name in enumerate(written):
        check_known(place, f"{key}[{number}]", name, known, "hook")
    return tuple(written)


def _hook(name: str, value: object, place: Place) -> HookProfile:
    table = convert_table(value, HookTable, place)
    return HookProfile(
        name=name,
        command=command_words(place, "command", table.command),
        timeout_s=values.duration_s(place, "timeout", table.timeout, at_least_s=1.0),
        must_succeed=values.choice(place, "on_failure", table.on_failure, FAILURES) == "fail",
    )
