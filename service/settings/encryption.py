"""[encryption] and [signing]: where the keys come from that seal or sign what is sent to the Temporal server."""

import msgspec

from holdfast.service.settings.document import convert_table
from holdfast.service.settings.model import PasswordSource
from holdfast.service.settings.paths import PathRules
from holdfast.service.settings.place import Place
from holdfast.service.settings.profiles import secret_source


class KeysTable(msgspec.Struct, kw_only=True, frozen=True):
    """[encryption] or [signing]"""

    key_file: str | None = None
    key_command: str | None = None
    key_env: str | None = None


def keys(value: object, place: Place, rules: PathRules) -> PasswordSource | None:
    """The table; None where there is none.

    Raises:
        SettingsError: something in it is wrong.
    """
    if value is None:
        return None
    table = convert_table(value, KeysTable, place, hints={"key": "A key does not stand here."})
    source = secret_source(
        place, rules, "key", file=table.key_file, command=table.key_command, variable=table.key_env
    )
    if source is None:
        # A person who writes the table wants it to work; to go on without would be the wrong way to fail.
        place.refuse("key_file", "this key is missing", "Add it, or remove the table.")
    return source
