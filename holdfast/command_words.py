"""Commands of the settings are split into words as a shell does it, and run without one."""

import shlex

from holdfast.errors import SettingsError


def split_command(command: str, what: str, *, hint: str) -> list[str]:
    """The words of a command. what: which one, for messages. hint: what to do about one that is empty.

    Raises:
        SettingsError: quotes do not match, or there is no word.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise SettingsError(
            f"the {what} command cannot be split into words: {str(error).lower()}",
            hint="Check its quotes; it is run without a shell.",
        ) from None
    if not words:
        raise SettingsError(f"the {what} command is empty", hint=hint)
    return words
