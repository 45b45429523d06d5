"""Bytes and times become text for people, and bytes what JSON has of them."""

import time
from typing import Final

from holdfast.units import NS_PER_S

_FIRST_BYTE, _LAST_BYTE = 0xDC80, 0xDCFF
"""Bytes that are no UTF-8 become these in names."""
_SURROGATES: Final = dict.fromkeys(range(0xDC80, 0xDD00), "\ufffd")


def ahead_of_time(snapshot: str, taken: str) -> str:
    """The words for a snapshot that is dated in the future, where the latest one was asked for. Ids, or digits."""
    passed_over = "" if taken.startswith(snapshot) else ", and was passed over"
    return f"snapshot {snapshot[:8]} is dated in the future{passed_over}"


class Drawn(str):
    """A line that was made harmless when it was drawn: colours in it are ours. What is made of it is plain text."""

    __slots__ = ()


def harmless(text: str) -> str:
    """Text of whatever origin for a terminal: line ends stay, and what would move the cursor, change colours or the
    reading direction is escaped, as are bytes that are no UTF-8."""
    if isinstance(text, Drawn) or text.isprintable():
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


def zone() -> str:
    """The name of the local time zone: `UTC`; `CET/CEST` where it has two."""
    return "/".join(dict.fromkeys(time.tzname)) if time.daylight else time.tzname[0]


def named_time(ns: int) -> str:
    """`2026-01-31 12:34:56 CET`, for a sentence; tables name the zone once."""
    return f"{local_time(ns)} {time.localtime(ns // NS_PER_S).tm_zone}"
