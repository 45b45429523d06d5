"""Knows what takes the answer: how wide the terminal is, whether it shows colours, and which letters it has."""

import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TextIO

_NO_COLOURS: Final = ("", "dumb")
_STATES: Final = re.compile(
    r"\b(?:"
    r"(?P<bad>failed|overdue|never|unreadable|damaged|NOT \w+|NEVER|LOST|DAMAGED|FAILED|GO|GOES|MISSED|OVERDUE|"
    r"[\d,]+ PROBLEMS?|ALARM|CANNOT BE READ|Error)"
    r"|(?P<doubtful>partial|cancelled|interrupted|paused|waiting|WAITS|Warning)"
    r"|(?P<good>complete|good|proven|verified|recoverable|PROVEN)"
    r"|(?P<going_on>running)"
    r")\b"
)
_COLOURS: Final[Mapping[str, str]] = {
    "bad": "\x1b[1;31m",
    "doubtful": "\x1b[33m",
    "good": "\x1b[32m",
    "going_on": "\x1b[36m",
}
_PLAIN: Final = "\x1b[0m"


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """width: in columns; None where no terminal takes the answer, which then is neither wrapped nor shortened.

    encoding: in which letters are written; one that it lacks is written as its escape.
    """

    width: int | None = None
    colours: bool = False
    encoding: str = "utf-8"

    @classmethod
    def of(cls, stream: TextIO) -> "Screen":
        """What stands at the other end of a stream. COLUMNS, NO_COLOR and TERM are heard, as elsewhere."""
        encoding = stream.encoding or "utf-8"
        if not stream.isatty():
            return cls(encoding=encoding)
        colours = not os.environ.get("NO_COLOR") and os.environ.get("TERM", "") not in _NO_COLOURS
        return cls(width=shutil.get_terminal_size().columns, colours=colours, encoding=encoding)

    def spelled(self, text: str) -> str:
        """The text in the letters that are written."""
        if text.isascii():
            return text
        return text.encode(self.encoding, "backslashreplace").decode(self.encoding)

    def painted(self, text: str) -> str:
        """The text with the words for states in colours, where there are any."""
        return _STATES.sub(_coloured, text) if self.colours else text


def answer_screen() -> Screen:
    """The screen of standard output."""
    return Screen.of(sys.stdout)


def _coloured(found: "re.Match[str]") -> str:
    return f"{_COLOURS[found.lastgroup or 'good']}{found[0]}{_PLAIN}"
