r"""Patterns as restic's users know them.

A pattern is a path whose components are shell patterns (`*`, `?`, `[a-z]`, `[^a-z]`, `\` quotes), `**` stands for any
number of directories, none included. A pattern without a leading slash matches anywhere in a path; every pattern also
matches what lies below a match. `!` takes back what earlier patterns matched. `*` and `?` never match a slash.
A backup's patterns count below its roots only: what is named is meant, whatever the way to it is called (ADR 0039).
Source: restic, internal/filter/filter.go, and Go's path/filepath, `Match`.
"""

import os
import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from holdfast.errors import UsageError

_ANY_NAME: Final = "[^/]*"
_NOT_EMPTY: Final = "(?=[^/])"
_DOUBLE: Final = "**"
_ANY_ENTRY: Final = "[^/]+"
_ANY_DEPTH: Final = frozenset((_DOUBLE, "*"))
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
            component(part, text)
        return pattern

    @property
    def ending(self) -> str:
        """A regular expression that finds the pattern at the end of a path: it matches the entry and nothing above it.

        "Everything below" (`tmp/**`, `tmp/**/*`) means the entries of `tmp`: with those, what is below them is meant.
        """
        tail = len(self.parts)
        while tail and self.parts[tail - 1] in _ANY_DEPTH:
            tail -= 1
        body, rest = self.parts[:tail], self.parts[tail:]
        end = "".join(map(self._piece, rest))
        if _DOUBLE in rest:
            names = sum(part != _DOUBLE for part in rest)
            end = ("/" + _ANY_ENTRY) * names or f"(?:/{_ANY_ENTRY})?"
        start = "\\A" if self.absolute else ""
        return start + "".join(map(self._piece, body)) + end + "\\Z"

    @cached_property
    def expression(self) -> str:
        """A regular expression that finds the pattern in a path with a leading slash."""
        start = "\\A" if self.absolute else ""
        if not self.parts:
            return "\\A/" if self.absolute else "(?!)"
        if all(part == _DOUBLE for part in self.parts):
            return start + "/" + ("" if self.absolute else _NOT_EMPTY)
        return start + "".join(map(self._piece, self.parts)) + "(?=/|\\Z)"

    def _piece(self, part: str) -> str:
        return f"(?:/{_ANY_ENTRY})*" if part == _DOUBLE else "/" + component(part, self.text)

    def may_match_below(self, names: Sequence[str]) -> bool:
        """Whether something below the directory with these path components could match."""
        if not self.absolute:
            return True
        prefix = self.parts[: self.parts.index(_DOUBLE)] if _DOUBLE in self.parts else self.parts
        return all(
            re.fullmatch(component(part, self.text), name) for part, name in zip(prefix, names, strict=False)
        )


class PatternList:
    """Patterns in the order in which they were given; later ones may take back what earlier ones matched."""

    def __init__(self, patterns: Sequence[str] | Sequence[bytes], *, ignore_case: bool = False) -> None:
        self._ignore_case = ignore_case
        self._patterns = [Pattern.parse(_text(pattern, ignore_case)) for pattern in patterns if pattern]
        self._runs = _runs([(pattern.negated, pattern.expression) for pattern in self._patterns])

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def matches(self, path: bytes) -> bool:
        """Whether an absolute path matches."""
        if not self._runs:
            return False
        text = _text(path, self._ignore_case)
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
        text = _text(path, self._ignore_case)
        names = [name for name in text.split("/") if name]
        below = False
        for pattern in self._patterns:
            if not pattern.negated:
                below = below or pattern.may_match_below(names)
            elif re.search(pattern.expression, text):
                below = False
        return self.matches(path), below


class PatternsBelow:
    """Patterns that leave out what is below roots, but never a root, whatever the way to it is called.

    For a walk from the roots downwards: `matches` asks for an entry of a directory that is not left out itself.
    """

    def __init__(self, patterns: Sequence[str], roots: Sequence[bytes], *, ignore_case: bool = False) -> None:
        self._ignore_case = ignore_case
        self._roots = sorted((_text(root, ignore_case) for root in roots), key=len, reverse=True)
        parsed = [Pattern.parse(_text(text, ignore_case)) for text in patterns if text]
        self._runs = _runs([(pattern.negated, pattern.ending) for pattern in parsed])
        # Most lists take nothing back: then one search is all.
        self._only = self._runs[0][1].search if [negated for negated, _ in self._runs] == [False] else None

    def __bool__(self) -> bool:
        return bool(self._runs)

    def matches(self, path: bytes) -> bool:
        """Whether an entry below a root is left out.

        Only what ends with the entry's own name is looked for: what matches above it was asked for there. What takes
        back, however, takes back all that is below its match.
        """
        if not self._runs:
            return False
        text = os.fsdecode(path).lower() if self._ignore_case else os.fsdecode(path)
        if self._only is not None:
            return self._only(text) is not None
        matched = False
        for negated, expression in self._runs:
            if negated == matched and (
                self._is_below_match(expression, text) if negated else expression.search(text)
            ):
                matched = not negated
        return matched

    def _is_below_match(self, expression: re.Pattern[str], text: str) -> bool:
        """Whether the entry, or a directory above it and below its root, matches."""
        inside = next((len(root) for root in self._roots if text.startswith(root.rstrip("/") + "/")), 0)
        end = len(text)
        while end > inside:
            if expression.search(text, 0, end):
                return True
            end = text.rfind("/", 0, end)
        return False


def _text(text: str | bytes, ignore_case: bool) -> str:  # noqa: FBT001 -- the one thing that it is asked
    return os.fsdecode(text).lower() if ignore_case else os.fsdecode(text)


def _runs(expressions: Iterable[tuple[bool, str]]) -> list[tuple[bool, re.Pattern[str]]]:
    """Neighbours of one kind (negated or not) as one expression each."""
    runs: list[tuple[bool, list[str]]] = []
    for negated, expression in expressions:
        if not runs or runs[-1][0] != negated:
            runs.append((negated, []))
        runs[-1][1].append(expression)
    return [(negated, re.compile("|".join(found), re.DOTALL)) for negated, found in runs]


def component(part: str, pattern: str) -> str:
    """The expression for one component of a pattern, which is never empty.

    Raises:
        UsageError: it is malformed; the message names the whole pattern.
    """
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
