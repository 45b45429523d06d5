"""The filters of a source: what is left out, and why it is never even opened.

Patterns decide by path before anything is known of an entry; marker files (CACHEDIR.TAG and those of
`--exclude-if-present`) empty their directory of everything but themselves; sizes decide after stat. None of them
applies to a root: what is named is meant. A marker is a regular file that can be read and begins as it must: a
directory, a link or an unreadable file of that name is content.
Source: restic, doc/040_backup.rst, "Excluding Files"; the tag is that of the Cache Directory Tagging Specification.
"""

import os
import stat as modes
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from holdfast.errors import UsageError
from holdfast.source.open_file import open_regular_at
from holdfast.source.patterns import PatternsBelow
from holdfast.source.spec import SourceSpec
from holdfast.source.trouble import explain

CACHE_TAG: Final = b"CACHEDIR.TAG"
CACHE_SIGNATURE: Final = b"Signature: 8a477f597d28d172789f06886806bc55"


@dataclass(frozen=True, slots=True)
class _Marker:
    """A file that marks its directory, and what it must begin with."""

    name: bytes
    header: bytes


class Filter:
    """A source's filter rules, compiled.

    Raises:
        UsageError: a pattern is malformed, or a marker file's name is none.
    """

    def __init__(self, spec: SourceSpec) -> None:
        rules = spec.filters
        self._excludes = PatternsBelow(rules.excludes, spec.roots)
        self._iexcludes = PatternsBelow(rules.iexcludes, spec.roots, ignore_case=True)
        self.has_patterns = bool(self._excludes or self._iexcludes)
        self.has_size_limit = rules.exclude_larger_than_bytes is not None
        self._limit_bytes = rules.exclude_larger_than_bytes
        self._markers = [_marker(text) for text in rules.exclude_if_present]
        if rules.exclude_caches:
            self._markers.append(_Marker(CACHE_TAG, CACHE_SIGNATURE))
        self.marker_names = frozenset(marker.name for marker in self._markers)

    def excludes(self, path: bytes) -> bool:
        """Whether a pattern leaves out this entry of a directory below a root that is not left out itself."""
        return self.has_patterns and (self._excludes.matches(path) or self._iexcludes.matches(path))

    def excludes_size(self, stat: os.stat_result) -> bool:
        """Whether a file is too large."""
        return (
            self._limit_bytes is not None and modes.S_ISREG(stat.st_mode) and stat.st_size > self._limit_bytes
        )

    def marks(self, directory: int, names: Iterable[bytes]) -> frozenset[bytes]:
        """The marker files among the names of an open directory; where there is one, nothing else of it is wanted.

        Raises:
            TemporaryError: this process lacks descriptors or memory.
        """
        if not self._markers:
            return frozenset()
        present = frozenset(names)
        return frozenset(m.name for m in self._markers if m.name in present and _is_marked(directory, m))


def check_marker(text: str) -> None:
    """Refuse a `NAME[:HEADER]` that could never be found.

    Raises:
        UsageError: its name is empty, or a path.
    """
    name = text.partition(":")[0]
    if not name or "/" in name or "\0" in name:
        raise UsageError(
            f"{text!r} does not begin with the name of a file", hint="Write NAME or NAME:HEADER."
        )


def _marker(text: str) -> _Marker:
    check_marker(text)
    name, _, header = text.partition(":")
    return _Marker(os.fsencode(name), os.fsencode(header))


def _is_marked(directory: int, marker: _Marker) -> bool:
    try:
        fd = open_regular_at(directory, marker.name)
    except OSError as error:
        explain(error)  # raises where it is this process's trouble
        return False
    try:
        return os.read(fd, len(marker.header)) == marker.header
    except OSError:
        return False
    finally:
        os.close(fd)
