"""Names in the settings, of repositories, sources, hooks, drills, systems and their members, have one form.

They stand in workflow ids and tags, and beside locations on the command line.
"""

import re
from typing import Final

from service.settings.document import Place

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


def is_name(text: str) -> bool:
    """Whether this can be a name: it has no "/", ":", "@" or comma."""
    return _NAME.fullmatch(text) is not None


def check_name(name: str, place: Place) -> bool:
    """True.

    Raises:
        SettingsError: it can be no name.
    """
    if not is_name(name):
        place.refuse(
            name[:80],
            "this name cannot be used",
            'Use letters, digits, ".", "_" and "-", at most 64, the first one a letter or digit.',
        )
    return True
