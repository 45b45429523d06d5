"""Reads lists of paths as restic has them: patterns that are expanded, lines as they are, or names ended by NUL.

`-` is standard input, once. Bytes of paths stay as they are. Source: restic's cmd/restic/cmd_backup.go
(`collectTargets`), and Go's path/filepath (`Glob`): its `*` takes names that begin with a dot, and `[^…]` excludes.
"""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from holdfast.errors import UsageError
from holdfast.service.settings.text import decode_text_file, trim
from holdfast.source.patterns import component

STDIN: Final = "-"
_MAGIC: Final = re.compile(r"[*?\[\\]")
_MOST_BYTES: Final = 1 << 30


class PathLists:
    """Reads the lists of one command. Standard input is read by one of them alone."""

    def __init__(self) -> None:
        self._reader = ""

    def patterns(self, option: str, file: str) -> Iterator[str]:
        """The lines of a list that count: without white space around them, comments, and what is empty.

        Raises:
            UsageError: the list cannot be read, or standard input was before.
        """
        for line in decode_text_file(self._read(option, file)).split("\n"):
            trimmed = trim(line)
            if trimmed and not trimmed.startswith("#"):
                yield trimmed

    def lines(self, option: str, file: str) -> Iterator[bytes]:
        """The lines of a list as they are, but for empty ones. Raises as `patterns`."""
        text = decode_text_file(self._read(option, file))
        for line in text.split("\n"):
            name = line.removesuffix("\r")
            if name:
                yield os.fsencode(name)

    def names(self, option: str, file: str) -> Iterator[bytes]:
        """The names of a list, each of which ends with a NUL byte.

        Raises:
            UsageError: as `patterns`; or one is empty, or the last one has no end.
        """
        *names, rest = self._read(option, file).split(b"\0")
        if rest:
            raise UsageError(
                f"{option}: the last path of the list does not end with a NUL byte",
                hint="Make the list with `find … -print0`; or use --files-from-verbatim for lines.",
            )
        for name in names:
            if not name:
                raise UsageError(f"{option}: a path of the list is empty", hint="Nothing was done.")
            yield name

    def _read(self, option: str, file: str) -> bytes:
        if file == STDIN:
            if self._reader:
                raise UsageError(
                    f"{option}: standard input is read for {self._reader} already", hint="Name a file."
                )
            self._reader = option
            return sys.stdin.buffer.read(_MOST_BYTES)
        try:
            with Path(file).open("rb") as opened:
                return opened.read(_MOST_BYTES)
        except OSError as error:
            raise UsageError(
                f"{option}: {file} cannot be read: {error.strerror}", hint="Check its path."
            ) from error


def expanded(pattern: str) -> list[str]:
    """The paths that a pattern stands for, in order; a pattern without a wildcard is its path, if that is there.

    Raises:
        UsageError: the pattern is malformed.
    """
    found = ["/"] if pattern.startswith("/") else [""]
    for part in filter(None, pattern.split("/")):
        matching = re.compile(component(part, pattern), re.DOTALL) if _MAGIC.search(part) else None
        found = [path for folder in found for path in _below(folder, part, matching)]
    return [path for path in found if path]


def _below(folder: str, part: str, matching: "re.Pattern[str] | None") -> Iterator[str]:
    """What there is in a folder that a component of a pattern means."""
    if matching is None:
        path = os.path.join(folder, part)
        if os.path.lexists(path):
            yield path
        return
    try:
        names = sorted(os.listdir(folder or "."))
    except OSError:
        return  # no folder, or none that we may list: nothing of it matches, as in restic
    yield from (os.path.join(folder, name) for name in names if matching.fullmatch(name))
