"""Paths and patterns as people write them, made absolute: "~", relative ones, and locations of repositories.

A path that stands in a file is relative to that file's folder, one from a command line to the working directory. So is
a pattern that begins with "./" or "../"; and "~/" means in both the home folder. Variables are replaced in exclude
files only (exclude_files.py): elsewhere "$NAME" is refused, because the workers that a service keeps do not have the
variables of the shell that a command is typed into. "$$" stands for a dollar.
Nothing here looks at the disk, but for the home folders of named users.
"""

import contextlib
import os
import pwd
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import AnyStr, Final

_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*:", re.ASCII)
LOCAL_SCHEME: Final = "local:"
NO_HOME: Final = (
    "this user has no home directory: HOME is not set, and the user database does not know the user"
)
_DOLLAR: Final = re.compile(r"\$(\$|\{[^}]*\}?|[A-Za-z_][A-Za-z0-9_]*)", re.ASCII)
_SPECIAL: Final = re.compile(r"[\\*?\[\]]")
_PLACE: Final = re.compile(r"\.{1,2}(/|\Z)|~[^/]*/|~\Z", re.DOTALL)
"""What a pattern begins with that is a path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathRules:
    """base: absolute folder that relative paths begin at. home: what a lone "~" stands for, if there is any.

    in_file: the paths stand in a file, where no shell has replaced variables: those are refused.
    """

    base: Path
    home: Path | None
    in_file: bool = False

    @classmethod
    def of(cls, base: Path, environ: Mapping[str, str], *, in_file: bool = False) -> "PathRules":
        """The rules for this user: home is $HOME, or what the user database says; None where neither knows any."""
        written = environ.get("HOME", "")
        if not written:
            with contextlib.suppress(KeyError):
                written = pwd.getpwuid(os.getuid()).pw_dir
        return cls(base=base, home=Path(written) if written else None, in_file=in_file)

    def text(self, path: str) -> str:
        """`path` as an absolute path without "." and "..".

        Raises:
            ValueError: it is empty, has a NUL or a variable, or names the home of a user whom nobody knows.
        """
        if self.in_file:
            path = without_variables(path)
        if not path or "\0" in path:
            raise ValueError("a path is expected")
        return plain(os.path.join(self.base, self._at_home(path)))

    def path(self, path: str) -> Path:
        """The same as a Path."""
        return Path(self.text(path))

    def location(self, location: str) -> str:
        """A repository's location: a path becomes absolute, and loses "local:"; "scheme:…" stays as it is."""
        scheme = _SCHEME.match(location)
        if scheme is None or scheme[0] == LOCAL_SCHEME:
            return self.text(location.removeprefix(LOCAL_SCHEME))
        return location

    def pattern(self, pattern: str) -> str:
        """A pattern; one that begins as a path does ("~/", "./", "../") becomes absolute, and means that place alone.

        Raises:
            ValueError: it has a NUL, or names the home of a user whom nobody knows.
        """
        sign = "!" if pattern.startswith("!") else ""
        rest = pattern[len(sign) :]
        if "\0" in rest:
            raise ValueError("a pattern is expected")
        begins = _PLACE.match(rest)
        if begins is None:
            return pattern
        place, rest = rest[: begins.end()], rest[begins.end() :]
        return sign + plain(os.path.join(_quoted(plain(os.path.join(self.base, self._at_home(place)))), rest))

    def _at_home(self, path: str) -> str:
        if not path.startswith("~"):
            return path
        user, slash, rest = path[1:].partition("/")
        if not user:
            if self.home is None:
                raise ValueError(NO_HOME)
            home = str(self.home)
        else:
            try:
                home = pwd.getpwnam(user).pw_dir
            except KeyError:
                raise ValueError(f"there is no user {user!r} on this host") from None
        return home + slash + rest


def plain(path: AnyStr) -> AnyStr:
    """An absolute path without ".", ".." and needless slashes; two leading ones, which POSIX leaves open, are one."""
    normal = os.path.normpath(path)
    return normal[1:] if normal[1:2] == normal[:1] else normal


def begins_at_place(pattern: str) -> bool:
    """Whether `PathRules.pattern` makes it absolute."""
    return _PLACE.match(pattern.removeprefix("!")) is not None


def without_variables(text: str) -> str:
    """The text with "$$" as a dollar.

    Raises:
        ValueError: it names a variable.
    """

    def dollar(match: re.Match[str]) -> str:
        if match[1] == "$":
            return "$"
        raise ValueError(
            f"variables such as {match[0]} are replaced in exclude files only; write $$ for a dollar"
        )

    return _DOLLAR.sub(dollar, text)


def with_variables(text: str, environ: Mapping[str, str]) -> str:
    """The text with its variables replaced, and "$$" as a dollar. Any other "$" stays.

    Raises:
        ValueError: a variable is not defined; or one is empty, so that what is relative to it would begin at "/".
    """

    def value(match: re.Match[str]) -> str:
        if match[1] == "$":
            return "$"
        name = match[1].strip("{}")
        if not name or name not in environ:
            raise ValueError(f"the variable {match[0]} is not defined; write $$ for a dollar")
        before = text[: match.start()].removeprefix("!")
        if not _DOLLAR.sub(value, before) and not environ[name] and text[match.end() :].startswith("/"):
            raise ValueError(f"the variable {match[0]} is empty")
        return environ[name]

    return _DOLLAR.sub(value, text)


def variables_in(text: str) -> set[str]:
    """The names of the variables in a text."""
    return {match[1].strip("{}") for match in _DOLLAR.finditer(text)} - {"$"}


def _quoted(path: str) -> str:
    """A path as a pattern that matches just it."""
    return _SPECIAL.sub(r"\\\g<0>", path)
