"""Commands of the settings: split into words once, run without a shell, in an environment without secrets."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Final

from holdfast.service.settings.place import Place

Command = str | list[str]

_PASSED_ON: Final = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR")


def command_words(place: Place, key: str, value: Command) -> tuple[str, ...]:
    """A command as its words, from a list of them or from one text with a shell's quotes.

    Raises:
        SettingsError: quotes do not match, there is no word, or one of them cannot be an argument.
    """
    words = value
    if isinstance(value, str):
        try:
            words = shlex.split(value)
        except ValueError as error:
            place.refuse(
                key,
                f"it cannot be split into words: {str(error).lower()}",
                "Check its quotes; it is run without a shell.",
            )
    if not words or not words[0]:
        place.refuse(key, "a command is expected", 'Write it as a list: ["program", "argument"].')
    if any("\0" in word for word in words):
        place.refuse(key, "an argument cannot hold a NUL character", "Remove it.")
    return tuple(words)


def harmless(environ: Mapping[str, str], more: Sequence[tuple[str, str]] = ()) -> tuple[tuple[str, str], ...]:
    """What of a worker's environment a command may see: no passwords. more: variables of our own."""
    return (*((name, environ[name]) for name in _PASSED_ON if name in environ), *more)
