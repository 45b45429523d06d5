r"""Patterns as restic's users know them.

A pattern is a path whose components are shell patterns (`*`, `?`, `[a-z]`, `[^a-z]`, `\` quotes), `**` stands for any
number of directories, none included. A pattern without a leading slash matches anywhere in a path; every pattern also
matches what lies below a match. `!` takes back what earlier patterns matched. `*` and `?` never match a slash.
Source: restic, internal/filter/filter.go, and Go's path/filepath, `Match`.
"""

import os
import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from holdfast.errors import UsageError

_ANY_NAME: Final = "[^/]*"
_NOT_EMPTY: Final = "(?=[^/])"
_DOUBLE: Final = "**"
_NEGATION: Final = "!"


@dataclass(frozen=True)
class Pattern:
    """One parsed pattern. parts: its components; absolute: it began with a slash."""

    text: str
    parts: tuple[str, ...]
    absolute: bool
    negated: bool

    @classmethod
    def parse(cls, text: str) -> "Pattern":
        """Parse a pattern.

        Raises:
            UsageError: a bracket without an end, an empty or reversed range, a lone backslash.
        """
        negated = text.startswith(_NEGATION)
        path = posixpath.normpath(text[negated:] or ".")
        absolute = path.startswith("/")
        parts = tuple(part for part in path.split("/") if part)
        pattern = cls(text, parts, absolute, negated)
        for part in parts:
            _component(part, text)
        return pattern

    @cached_property
    def expression(self) -> str:
        """A regular expression that finds the pattern in a path with a leading slash."""
        start = "\\A" if self.absolute else ""
        if not self.parts:
            return "\\A/" if self.absolute else "(?!)"
        if all(part == _DOUBLE for part in self.parts):
            return start + "/" + ("" if self.absolute else _NOT_EMPTY)
        pieces = [
            "(?:/[^/]+)*" if part == _DOUBLE else "/" + _component(part, self.text) for part in self.parts
        ]
        return start + "".join(pieces) + "(?=/|\\Z)"

    def may_match_below(self, names: Sequence[str]) -> bool:
        """Whether something below the directory with these path components could match."""
        if not self.absolute:
            return True
        prefix = self.parts[: self.parts.index(_DOUBLE)] if _DOUBLE in self.parts else self.parts
        return all(
            re.fullmatch(_component(part, self.text), name) for part, name in zip(prefix, names, strict=False)
        )


class PatternList:
    """Patterns in the order in which they were given; later ones may take back what earlier ones matched."""

    def __init__(self, patterns: Sequence[str] | Sequence[bytes], *, ignore_case: bool = False) -> None:
        self._ignore_case = ignore_case
        decoded = map(os.fsdecode, patterns)
        texts = (text.lower() if ignore_case else text for text in decoded)
        self._patterns = [Pattern.parse(text) for text in texts if text]
        self._runs = _runs(self._patterns)

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def matches(self, path: bytes) -> bool:
        """Whether an absolute path matches."""
        if not self._runs:
            return False
        text = self._text(path)
        matched = False
        for negated, expression in self._runs:
            # A run of negations can only take back, any other run can only add.
            if negated == matched and expression.search(text):
                matched = not negated
        return matched

    def matches_with_children(self, path: bytes) -> tuple[bool, bool]:
        """Whether a path matches, and whether something below it might."""
        if not self._patterns:
            return False, False
        names = [name for name in self._text(path).split("/") if name]
        below = False
        for pattern in self._patterns:
            if not pattern.negated:
                below = below or pattern.may_match_below(names)
            elif re.search(pattern.expression, self._text(path)):
                below = False
        return self.matches(path), below

    def _text(self, path: bytes) -> str:
        text = os.fsdecode(path)
        return text.lower() if self._ignore_case else text


def _runs(patterns: Sequence[Pattern]) -> list[tuple[bool, re.Pattern[str]]]:
    """Neighbouring patterns of one kind as one expression each."""
    runs: list[tuple[bool, list[str]]] = []
    for pattern in patterns:
        if not runs or runs[-1][0] != pattern.negated:
            runs.append((pattern.negated, []))
        runs[-1][1].append(pattern.expression)
    return [(negated, re.compile("|".join(found), re.DOTALL)) for negated, found in runs]


def _component(part: str, pattern: str) -> str:
    """The expression for one component, which is never empty."""
    pieces: list[str] = []
    position = 0
    while position < len(part):
        character = part[position]
        position += 1
        if character == "*":
            pieces.append(_ANY_NAME)
        elif character == "?":
            pieces.append("[^/]")
        elif character == "[":
            piece, position = _character_class(part, position, pattern)
            pieces.append(piece)
        elif character == "\\":
            literal, position = _quoted(part, position - 1, pattern)
            pieces.append(re.escape(literal))
        else:
            pieces.append(re.escape(character))
    return _NOT_EMPTY + "".join(pieces)


def _character_class(part: str, position: int, pattern: str) -> tuple[str, int]:
    """The expression for a bracket whose inside begins at `position`; where it ends."""
    negated = part[position : position + 1] == "^"
    position += negated
    ranges: list[str] = []
    while part[position : position + 1] != "]" or not ranges:
        low, position = _class_character(part, position, pattern)
        high = low
        if part[position : position + 1] == "-":
            high, position = _class_character(part, position + 1, pattern)
        if high < low:
            ranges.append("")
            continue
        ranges.append(f"{re.escape(low)}-{re.escape(high)}")
    inside = "".join(ranges)
    if not inside:
        return ("[^/]" if negated else "(?!)"), position + 1
    return f"(?!/)[{'^' if negated else ''}{inside}]", position + 1


def _class_character(part: str, position: int, pattern: str) -> tuple[str, int]:
    character = part[position : position + 1]
    if character in ("", "-", "]"):
        raise _malformed(pattern)
    return _quoted(part, position, pattern)


def _quoted(part: str, position: int, pattern: str) -> tuple[str, int]:
    """The character at `position`, or the one that a backslash there quotes."""
    if part[position] != "\\":
        return part[position], position + 1
    if position + 1 >= len(part):
        raise _malformed(pattern)
    return part[position + 1], position + 2


def _malformed(pattern: str) -> UsageError:
    return UsageError(
        f"the pattern {pattern!r} is malformed",
        hint="close each `[`, and write a literal `[`, `*`, `?` or backslash with a backslash before it",
    )
