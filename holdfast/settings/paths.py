"""Paths as people write them, made absolute: "~", relative ones, and locations of repositories.

A path that stands in a file is relative to that file's folder, one from a command line to the working directory.
Nothing here looks at the disk, but for the home folders of named users.
"""

import os
import pwd
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*:", re.ASCII)
LOCAL_SCHEME: Final = "local:"


@dataclass(frozen=True, slots=True, kw_only=True)
class PathRules:
    """base: absolute folder that relative paths begin at. home: what a lone "~" stands for."""

    base: Path
    home: Path

    @classmethod
    def of(cls, base: Path, environ: Mapping[str, str]) -> "PathRules":
        """The rules for this user: home is $HOME, or what the user database says."""
        return cls(base=base, home=Path(environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir))

    def text(self, path: str) -> str:
        """`path` as an absolute path without "." and "..".

        Raises:
            ValueError: it is empty, has a NUL, or names the home of a user whom nobody knows.
        """
        if not path or "\0" in path:
            raise ValueError("a path is expected")
        return os.path.normpath(os.path.join(self.base, self._at_home(path)))

    def path(self, path: str) -> Path:
        """The same as a Path."""
        return Path(self.text(path))

    def location(self, location: str) -> str:
        """A repository's location: a path becomes absolute, and loses "local:"; "scheme:…" stays as it is."""
        scheme = _SCHEME.match(location)
        if scheme is None or scheme[0] == LOCAL_SCHEME:
            return self.text(location.removeprefix(LOCAL_SCHEME))
        return location

    def _at_home(self, path: str) -> str:
        if not path.startswith("~"):
            return path
        user, slash, rest = path[1:].partition("/")
        if not user:
            home = str(self.home)
        else:
            try:
                home = pwd.getpwnam(user).pw_dir
            except KeyError:
                raise ValueError(f"there is no user {user!r} on this host") from None
        return home + slash + rest
