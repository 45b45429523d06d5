"""Which settings file counts.

The one that is named, or `HOLDFAST_CONFIG`, or the first of the user's (`$XDG_CONFIG_HOME/holdfast/`) and the host's
(`/etc/holdfast/`). The working directory is not searched, because the file names commands to run.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from holdfast.errors import SettingsError
from holdfast.service.settings.paths import PathRules

CONFIG_VARIABLE: Final = "HOLDFAST_CONFIG"
FILE_NAME: Final = "holdfast.toml"
_SYSTEM_FILE: Final = Path("/etc/holdfast") / FILE_NAME


def find_settings(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The settings file that counts, absolute, or None. One that is named counts even if it is not there."""
    rules = PathRules.of(Path.cwd(), environ)
    named = str(path) if path is not None else environ.get(CONFIG_VARIABLE, "")
    if named:
        try:
            return rules.path(named)
        except ValueError as error:
            raise SettingsError(
                f"the name of the settings file cannot be used: {error}", hint="Give its path."
            ) from None
    folder = environ.get("XDG_CONFIG_HOME", "")
    own = Path(folder) if folder.startswith("/") else None if rules.home is None else rules.home / ".config"
    for candidate in (None if own is None else own / "holdfast" / FILE_NAME, _SYSTEM_FILE):
        if candidate is not None and candidate.exists():
            return candidate
    return None
