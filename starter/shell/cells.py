"""Makes text give way to the width of a screen: it is wrapped between words, or loses its middle."""

from typing import Final

from rich.cells import cell_len, chop_cells

from holdfast.starter.shell.screen import Screen, answer_screen
from holdfast.starter.shell.text import Drawn, harmless

LEAST: Final = 8
"""In less room nothing can be read."""
_HANGING: Final = "  "


def flowed(text: str, *, screen: Screen | None = None) -> list[str]:
    """A line of sentences as lines that fit; those behind the first are indented by two more than it is.

    screen: else that of standard output.
    """
    screen = screen or answer_screen()
    spelled = screen.spelled(harmless(text))
    if screen.width is None or isinstance(text, Drawn) or cell_len(spelled) <= screen.width:
        return [Drawn(spelled)]
    told = spelled.lstrip(" ")
    begun = spelled[: -len(told)]
    first, *rest = wrapped(told, max(screen.width - len(begun) - len(_HANGING), LEAST))
    return [Drawn(begun + first), *(Drawn(begun + _HANGING + line) for line in rest)]


def wrapped(text: str, width: int | None) -> list[str]:
    """Its lines, of whole words; a word that is wider is broken."""
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
            *whole, line = ([line] if line else []) + chop_cells(word, width)
            lines += whole
        lines.append(line)
    return lines


def shortened(text: str, width: int, screen: Screen) -> str:
    """The text without its middle, where it is wider: of a path the end tells more than the beginning."""
    if cell_len(text) <= width:
        return text
    gap = "…" if screen.spelled("…") == "…" else ".."
    room = max(width - len(gap), 1)
    head = chop_cells(text, room // 3)[0] if room >= LEAST else ""
    tail = chop_cells(text[::-1], room - cell_len(head))[0][::-1]
    return head + gap + tail
