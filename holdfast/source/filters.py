"""The filters of a source: what is left out, and why it is never even opened.

Patterns decide by path before anything is known of an entry; marker files (CACHEDIR.TAG and those of
`--exclude-if-present`) empty their directory of everything but themselves; sizes decide after stat.
Source: restic, doc/040_backup.rst, "Excluding Files"; the tag is that of the Cache Directory Tagging Specification.
"""

import os
import stat as modes
from dataclasses import dataclass
from typing import Final

from holdfast.source.open_file import open_regular_at
from holdfast.source.patterns import PatternList
from holdfast.source.spec import FilterRules

CACHE_TAG: Final = b"CACHEDIR.TAG"
CACHE_SIGNATURE: Final = b"Signature: 8a477f597d28d172789f06886806bc55"


@dataclass(frozen=True, slots=True)
class _Marker:
    """A file that marks its directory, and what it must begin with."""

    name: bytes
    header: bytes


class Filter:
    """Compiled filter rules.

    Raises:
        UsageError: a pattern is malformed.
    """

    def __init__(self, rules: FilterRules) -> None:
        self._excludes = PatternList(rules.excludes)
        self._iexcludes = PatternList(rules.iexcludes, ignore_case=True)
        self.has_patterns = bool(self._excludes or self._iexcludes)
        self.has_size_limit = rules.exclude_larger_than_bytes is not None
        self._limit_bytes = rules.exclude_larger_than_bytes
        self._markers = [_marker(text) for text in rules.exclude_if_present]
        if rules.exclude_caches:
            self._markers.append(_Marker(CACHE_TAG, CACHE_SIGNATURE))

    def excludes(self, path: bytes) -> bool:
        """Whether a pattern leaves out this absolute path."""
        return self.has_patterns and (self._excludes.matches(path) or self._iexcludes.matches(path))

    def excludes_size(self, stat: os.stat_result) -> bool:
        """Whether a file is too large."""
        return (
            self._limit_bytes is not None and modes.S_ISREG(stat.st_mode) and stat.st_size > self._limit_bytes
        )

    def select_names(self, directory: int, names: list[bytes]) -> list[bytes]:
        """The names of an open directory that are walked, in descending order.

        Raises:
            OSError: a marker file cannot be read.
        """
        found = sorted(names, reverse=True)
        if not self._markers:
            return found
        present = set(found)
        marks = {m.name for m in self._markers if m.name in present and _is_marked(directory, m)}
        return [name for name in found if name in marks] if marks else found


def _marker(text: str) -> _Marker:
    name, _, header = text.partition(":")
    return _Marker(os.fsencode(name), os.fsencode(header))


def _is_marked(directory: int, marker: _Marker) -> bool:
    if not marker.header:
        return True
    fd = open_regular_at(directory, marker.name)
    try:
        return os.read(fd, len(marker.header)) == marker.header
    finally:
        os.close(fd)
