"""Bytes, times and tables become text for people, and bytes what JSON has of them."""

import time
from collections.abc import Sequence
from typing import Final

from holdfast.units import NS_PER_S

_FIRST_BYTE, _LAST_BYTE = 0xDC80, 0xDCFF
"""Bytes that are no UTF-8 become these in names."""
_SURROGATES: Final = dict.fromkeys(range(0xDC80, 0xDD00), "\ufffd")


def ahead_of_time(snapshot: str, taken: str) -> str:
    """The words for a snapshot that is dated in the future, where the latest one was asked for. Ids, or digits."""
    passed_over = "" if taken.startswith(snapshot) else ", and was passed over"
    return f"snapshot {snapshot[:8]} is dated in the future{passed_over}"


def harmless(text: str) -> str:
    """Text of whatever origin for a terminal: line ends stay, and what would move the cursor, change colours or the
    reading direction is escaped, as are bytes that are no UTF-8."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() or letter == "\n" else _escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    code = ord(letter)
    if _FIRST_BYTE <= code <= _LAST_BYTE:
        return f"\\x{code - _FIRST_BYTE + 0x80:02x}"
    return letter.encode("unicode_escape").decode()


def printable(path: bytes) -> str:
    """A path on one line of a terminal: what is no UTF-8 or would move the cursor is escaped."""
    text = path.decode(errors="backslashreplace")
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text
    )


def json_text(raw: bytes) -> str:
    """Bytes as Go's JSON has them: each byte that is not UTF-8 becomes U+FFFD."""
    return raw.decode("utf-8", "surrogateescape").translate(_SURROGATES)


def local_time(ns: int) -> str:
    """`2026-01-31 12:34:56` in the local time zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(ns // NS_PER_S))


def table(header: Sequence[str], rows: Sequence[Sequence[str]], footer: str = "") -> list[str]:
    """A table as restic draws it: columns, two spaces between them, rules above and below the rows.

    A cell may have several lines. What a terminal would obey is escaped.
    """
    rows = [[harmless(cell) for cell in row] for row in rows]
    cells = [[cell.split("\n") for cell in row] for row in rows]
    widths = [
        max([len(name), *(len(line) for row in cells for line in row[column])])
        for column, name in enumerate(header)
    ]
    lines = [_row(header, widths)]
    rule = "-" * max(len(lines[0]), sum(widths) + 2 * (len(widths) - 1))
    lines.append(rule)
    for row in cells:
        height = max(len(cell) for cell in row)
        lines += [
            _row([cell[number] if number < len(cell) else "" for cell in row], widths)
            for number in range(height)
        ]
    return [*lines, rule, *([footer] if footer else [])]


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
