"""Makes text give way to the width of a screen: it is wrapped between words, or loses its middle."""

from typing import Final

from holdfast.starter.shell.screen import Screen, answer_screen
from holdfast.starter.shell.text import Drawn, harmless

LEAST: Final = 8
"""In less room nothing can be read."""
_HANGING: Final = "  "
_ADDRESS: Final = "://"


def width_of(text: str) -> int:
    """How many columns of a terminal it takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # noqa: PLC0415 - 3 ms of each command, and only wide letters need it

    return cell_len(text)


def chopped(text: str, width: int) -> list[str]:
    """Its parts, none of them wider than that."""
    if text.isascii():
        return [text[at : at + width] for at in range(0, len(text), width)]
    from rich.cells import chop_cells  # noqa: PLC0415 - as above

    return chop_cells(text, width)


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
    if width is None or width_of(line) <= width:
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
            if width_of(joined) <= width:
                line = joined
                continue
            parts = [word] if _ADDRESS in word else chopped(word, width)
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
    if width_of(text) <= width:
        return text
    gap = "…" if screen.spelled("…") == "…" else ".."
    room = max(width - len(gap), 1)
    head = chopped(text, room // 3)[0] if room >= LEAST else ""
    tail = chopped(text[::-1], room - width_of(head))[0][::-1]
    return head + gap + tail
