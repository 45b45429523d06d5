"""Names in the settings, of repositories, sources, hooks, drills, systems and their members, have one form.

They stand in workflow ids and tags, and beside locations on the command line.
"""

import re
from collections.abc import Callable, Collection
from typing import Final, TypeVar

from holdfast.service.settings.document import expect_table
from holdfast.service.settings.place import Place
from holdfast.service.settings.suggestions import one_of

ProfileT = TypeVar("ProfileT")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


def is_name(text: str) -> bool:
    """Whether this can be a name: it has no "/", ":", "@" or comma."""
    return _NAME.fullmatch(text) is not None


def named_tables(
    value: object, place: Place, profile: Callable[[str, object, Place], ProfileT]
) -> dict[str, ProfileT]:
    """All tables below one, such as [hooks.NAME]. profile: makes one of them, of its name, the table and its place.

    Raises:
        SettingsError: something in them is wrong, or one has a name that cannot be used.
    """
    found: dict[str, ProfileT] = {}
    for name, table in expect_table(value, place).items():
        if not is_name(name):
            place.refuse(
                name[:80],
                "this name cannot be used",
                'Use letters, digits, ".", "_" and "-", at most 64, the first one a letter or digit.',
            )
        found[name] = profile(name, table, place.below(name))
    return found


def check_known(
    place: Place, key: str, name: str, known: Collection[str], what: str, plural: str = ""
) -> None:
    """See that the settings have what a key names. what: a source, say; plural: its table's name.

    Raises:
        SettingsError: they have not.
    """
    if name not in known:
        tables = plural or f"{what}s"
        hint = one_of(name, known, tables) if known else f"Add a table [{tables}.NAME]."
        place.refuse(key, f"the settings have no {what} of this name", hint)
