"""Which folder holds this user's state, and why root's may be another one than was asked for.

What lies in a state directory is believed as its user's own (private_files.py), and its owner can put anything there.
So root shares none with an ordinary user: `sudo -E holdfast`, or the variable of a user's shell, would have root read
that user's keys and requests, and leave files there that the user cannot write any more. Root's own state lies below
its own home then, in a folder of its own for each that was asked for.

A folder of another user that holds nothing but root's files is root's since before that rule, and stays so.
"""

import hashlib
import os
import pwd
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from holdfast.errors import SettingsError
from holdfast.service.settings.paths import NO_HOME, PathRules
from holdfast.service.settings.place import Place

STATE_VARIABLE: Final = "HOLDFAST_STATE_DIR"
_BELOW_HOME: Final = Path(".local", "state", "holdfast")
_ROOT: Final = 0
_DIGITS: Final = 12


def asked_state_dir(written: str, place: Place, rules: PathRules, environ: Mapping[str, str]) -> Path:
    """From the environment, else from the file, else where the XDG base directories put state.

    Raises:
        SettingsError: it is no path, or there is no home to put it into.
    """
    named = environ.get(STATE_VARIABLE, "")
    if named:
        here = PathRules.of(Path.cwd(), environ)
        return _path(Place(file="environment"), STATE_VARIABLE, named, here)
    if written:
        return _path(place, "state_dir", written, rules)
    folder = environ.get("XDG_STATE_HOME", "")
    if folder.startswith("/"):
        return Path(folder) / "holdfast"
    if rules.home is None:
        raise SettingsError(
            NO_HOME, hint=f"Set HOME, or {STATE_VARIABLE} to a folder that this user may write."
        )
    return rules.home / _BELOW_HOME


def own_state_dir(asked: Path) -> Path:
    """The one that was asked for, unless this is root and it is, or would be in a folder that is, another user's.

    Raises:
        SettingsError: it is another's, and root has no home.
    """
    if os.geteuid() != _ROOT or not _is_of_others(asked):
        return asked
    try:
        home = Path(pwd.getpwuid(_ROOT).pw_dir)
    except KeyError:
        raise SettingsError(
            f"the state directory {asked} is another user's, and root has no home",
            hint=f"Set {STATE_VARIABLE} to a folder of root's.",
        ) from None
    digest = hashlib.sha256(os.fsencode(asked)).hexdigest()[:_DIGITS]
    return home / _BELOW_HOME.with_name(f"{_BELOW_HOME.name}-{digest}")


def _path(place: Place, key: str, written: str, rules: PathRules) -> Path:
    """As `values.path`, which brings more than a shell that completes a word can wait for."""
    try:
        return rules.path(written)
    except ValueError as error:
        place.refuse(key, str(error), 'Write an absolute path, or one that begins with "~/".')


def _is_of_others(asked: Path) -> bool:
    try:
        for folder in (asked, *asked.parents):
            if folder.exists():
                return folder.stat().st_uid != _ROOT and not (folder == asked and _holds_roots_alone(asked))
    except OSError:
        pass  # whatever it is, it cannot be used, and that is said where it is used
    return False


def _holds_roots_alone(folder: Path) -> bool:
    owners = {entry.stat(follow_symlinks=False).st_uid for entry in os.scandir(folder)}
    return owners == {_ROOT}
