"""[encryption]: where the keys come from that seal what is sent to the Temporal server."""

import msgspec

from holdfast.settings.document import Place, convert_table
from holdfast.settings.model import PasswordSource
from holdfast.settings.paths import PathRules
from holdfast.settings.profiles import secret_source


class EncryptionTable(msgspec.Struct, kw_only=True, frozen=True):
    """[encryption]"""

    key_file: str | None = None
    key_command: str | None = None
    key_env: str | None = None


def encryption(value: object, place: Place, rules: PathRules) -> PasswordSource | None:
    """The table; None where nothing is to be encrypted.

    Raises:
        SettingsError: something in it is wrong.
    """
    if value is None:
        return None
    table = convert_table(value, EncryptionTable, place, hints={"key": "A key does not stand here."})
    source = secret_source(
        place, rules, "key", file=table.key_file, command=table.key_command, variable=table.key_env
    )
    if source is None:
        # Whoever writes the table wants encryption; to go on in clear text would be the wrong way to fail.
        place.refuse("key_file", "this key is missing", "Add it, or remove the table to send clear text.")
    return source
