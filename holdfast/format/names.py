r"""File names in trees are written by Go's `strconv.Quote` without the outer quotes, and then as JSON.

Names are bytes. Bytes that are not UTF-8 become `\xNN`; what Go does not consider printable is escaped; everything
else stands for itself. Source: restic, internal/restic/node.go (`MarshalJSON`), and the Go library's strconv.
"""

import operator
import re
import unicodedata
from collections.abc import Sequence
from typing import Final

_SIMPLE: Final = re.compile(rb"[ !#-\[\]-~]*")
_ESCAPES: Final = {
    0x07: r"\a",
    0x08: r"\b",
    0x0C: r"\f",
    0x0A: r"\n",
    0x0D: r"\r",
    0x09: r"\t",
    0x0B: r"\v",
    0x5C: r"\\",
    0x22: r"\"",
}
_UNESCAPES: Final = {text[1]: bytes([code]) for code, text in _ESCAPES.items()} | {"'": b"'"}
_NUMERIC: Final = {"x": 2, "u": 4, "U": 8}
_OCTAL_DIGITS: Final = 3
_MAX_BMP: Final = 0xFFFF
_DELETE: Final = 0x7F
_SPACE: Final = 0x20
_SURROGATES: Final = range(0xDC80, 0xDD00)


def quote_name(name: bytes) -> str:
    """The text that stands for a name in a tree."""
    if _SIMPLE.fullmatch(name):
        return name.decode("ascii")
    return "".join(map(_quote, name.decode("utf-8", "surrogateescape")))


def quote_path(path: bytes) -> str:
    """A path as snapshots list it: UTF-8 as it is, other bytes as Go quotes them, which is what restic shows."""
    try:
        return path.decode()
    except UnicodeDecodeError:
        return quote_name(path)


def unquote_name(text: str) -> bytes:
    """The name that a tree's text stands for.

    Raises:
        ValueError: an escape that Go does not know, or a bare quote.
    """
    if "\\" not in text:
        if '"' in text or "\n" in text:
            raise ValueError("a name holds a bare quote or line feed")
        return text.encode()
    out: list[bytes] = []
    position = 0
    while position < len(text):
        slash = text.find("\\", position)
        stretch = text[position:] if slash < 0 else text[position:slash]
        if '"' in stretch or "\n" in stretch:
            raise ValueError("a name holds a bare quote or line feed")
        out.append(stretch.encode())
        if slash < 0:
            break
        escaped, position = _unescape(text, slash + 1)
        out.append(escaped)
    return b"".join(out)


def ascend(names: Sequence[str]) -> bool:
    """Whether the bytes of each name come before those of the next, given as the texts that stand for them."""
    if "\\" in "".join(names):
        raw = [unquote_name(name) for name in names]
        return all(map(operator.lt, raw, raw[1:]))
    return all(map(operator.lt, names, names[1:]))  # UTF-8 sorts as its code points do


def _quote(character: str) -> str:
    code = ord(character)
    known = _ESCAPES.get(code)
    if known is not None:
        return known
    if code in _SURROGATES:
        return f"\\x{code - 0xDC00:02x}"
    if _is_printable(character, code):
        return character
    if code < _SPACE or code == _DELETE:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= _MAX_BMP else f"\\U{code:08x}"


def _is_printable(character: str, code: int) -> bool:
    """Go's unicode.IsPrint: letters, marks, numbers, punctuation, symbols, and of the spaces only U+0020."""
    return code == _SPACE or unicodedata.category(character)[0] in "LMNPS"


def _unescape(text: str, position: int) -> tuple[bytes, int]:
    """The bytes of the escape whose backslash is before `position`; where it ends."""
    kind = text[position : position + 1]
    if kind in _UNESCAPES:
        return _UNESCAPES[kind], position + 1
    if kind in _NUMERIC:
        end = position + 1 + _NUMERIC[kind]
        value = _number(text[position + 1 : end], _NUMERIC[kind], 16)
        if kind == "x":
            return bytes([value]), end
        if value > 0x10FFFF or 0xD800 <= value < 0xE000:
            raise ValueError("a name escapes a code point that is none")
        return chr(value).encode(), end
    end = position + _OCTAL_DIGITS
    value = _number(text[position:end], _OCTAL_DIGITS, 8)
    if value > 0xFF:
        raise ValueError("a name has an octal escape above 377")
    return bytes([value]), end


def _number(digits: str, count: int, base: int) -> int:
    allowed = "01234567" if base == 8 else "0123456789abcdefABCDEF"
    if len(digits) != count or any(digit not in allowed for digit in digits):
        raise ValueError("a name has an unknown escape")
    return int(digits, base)
