"""Makes text give way to the width of a screen: it is wrapped between words, or loses its middle."""

from typing import Final

from rich.cells import cell_len, chop_cells

from holdfast.starter.shell.screen import Screen, answer_screen
from holdfast.starter.shell.text import Drawn, harmless

LEAST: Final = 8
"""In less room nothing can be read."""
_HANGING: Final = "  "
_ADDRESS: Final = "://"


def flowed(text: str, *, screen: Screen | None = None) -> list[str]:
    """Sentences as lines that fit; what goes on in a further line is indented by two more than its first.

    screen: else that of standard output.
    """
    screen = screen or answer_screen()
    if isinstance(text, Drawn):
        return [text]
    return [
        Drawn(part)
        for line in screen.spelled(harmless(text)).split("\n")
        for part in _hanging(line, screen.width)
    ]


def _hanging(line: str, width: int | None) -> list[str]:
    if width is None or cell_len(line) <= width:
        return [line]
    told = line.lstrip(" ")
    begun = line[: len(line) - len(told)]
    first, *rest = wrapped(told, max(width - len(begun) - len(_HANGING), LEAST))
    return [begun + first, *(begun + _HANGING + part for part in rest)]


def wrapped(text: str, width: int | None) -> list[str]:
    """Its lines, of whole words; a word that is wider is broken, unless it is an address, which people click on."""
    if width is None:
        return text.split("\n")
    lines: list[str] = []
    for given in text.split("\n"):
        line = ""
        for word in given.split(" "):
            joined = f"{line} {word}" if line else word
            if cell_len(joined) <= width:
                line = joined
                continue
            parts = [word] if _ADDRESS in word else chop_cells(word, width)
            *whole, line = [line, *parts] if line else parts
            lines += whole
        lines.append(line)
    return lines


def one_line(text: str, *, used: int = 0, screen: Screen) -> str:
    """The text in what is left of a line, of which so many columns are used; without its middle, if need be."""
    spelled = screen.spelled(harmless(text))
    return spelled if screen.width is None else shortened(spelled, max(screen.width - used, LEAST), screen)


def shortened(text: str, width: int, screen: Screen) -> str:
    """The text without its middle, where it is wider: of a path the end tells more than the beginning."""
    if cell_len(text) <= width:
        return text
    gap = "…" if screen.spelled("…") == "…" else ".."
    room = max(width - len(gap), 1)
    head = chop_cells(text, room // 3)[0] if room >= LEAST else ""
    tail = chop_cells(text[::-1], room - cell_len(head))[0][::-1]
    return head + gap + tail
