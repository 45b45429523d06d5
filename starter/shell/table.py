"""Draws tables and lists of values that fit the terminal; where none is there, nothing is left out or shortened.

A command gives each column a kind, which says how its cells give way, and a rank, which says when the column itself
does. Where the terminal is too narrow, in this order:

    1. columns without any content go;
    2. cells give way as long as they stay comfortable to read: text is wrapped, paths lose their middle, times their
       seconds;
    3. columns go, the highest rank first; the last line names them;
    4. cells give way as far as it takes.

No text is cut: what does not fit a line of its cell stands on the next one.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from holdfast.starter.shell.cells import LEAST, flowed, shortened, width_of, wrapped
from holdfast.starter.shell.screen import Screen, answer_screen
from holdfast.starter.shell.text import Drawn, harmless, zone

_GAP: Final = "  "
_SHARE: Final = 5
_SHARE_OF_WORDS: Final = 3
_COMFORTABLE: Final = 12
"""A column that gives way is comfortable to read with one of so many shares of the width, and no less than so wide. A
word is broken where it would take more than a share of its own."""
_SECONDS: Final = re.compile(r"(?<=\d\d:\d\d):\d\d")


class Kind(Enum):
    """How the cells of a column give way, and where they stand."""

    TEXT = auto()
    """They are wrapped between words."""
    STATE = auto()
    """As text, with the words for states in colours."""
    PATH = auto()
    """They lose their middle."""
    TIME = auto()
    """They are of `local_time` and lose their seconds. The first such column of a table names the zone."""
    NUMBER = auto()
    """They stand at the right, and stay whole."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. rank: 0 always stays; of the others the highest goes first."""

    name: str
    rank: int = 0
    kind: Kind = Kind.TEXT


@dataclass(frozen=True, slots=True)
class _Cell:
    """A cell as it is drawn: its lines, none of them wider than the width."""

    lines: Sequence[str]
    width: int
    kind: Kind

    def line(self, number: int, screen: Screen) -> str:
        """One of them, filled up to the width; empty below the last one."""
        text = self.lines[number] if number < len(self.lines) else ""
        fill = " " * (self.width - width_of(text))
        if self.kind is Kind.NUMBER:
            return fill + text
        return (screen.painted(text) if self.kind is Kind.STATE else text) + fill


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """A column with its widths: where nothing is lost, where it is comfortable to read, and the least one."""

    column: Column
    natural: int
    comfortable: int
    least: int
    is_empty: bool


def table(
    columns: Sequence[Column | str],
    rows: Sequence[Sequence[str]],
    footer: str = "",
    *,
    screen: Screen | None = None,
) -> list[str]:
    """A table as restic draws it: two spaces between columns, rules above and below the rows. Without rows, its footer.

    A name alone is a column of text that always stays. A cell may have several lines. What a terminal would obey is
    escaped. screen: else that of standard output.
    """
    screen = screen or answer_screen()
    if not rows and footer:
        return flowed(footer, screen=screen)
    known = [Column(column) if isinstance(column, str) else column for column in columns]
    names = _names(known)
    cells = [[screen.spelled(harmless(cell)) for cell in row] for row in rows]
    measured = [
        _measured(column, names[at], [row[at] for row in cells], screen.width or 0)
        for at, column in enumerate(known)
    ]
    widths = _widths(measured, screen.width)
    head = [
        _Cell(wrapped(names[at], width), width, _head_kind(known[at].kind)) for at, width in widths.items()
    ]
    lines = _drawn(head, screen)
    rule = Drawn("-" * (sum(widths.values()) + len(_GAP) * (len(widths) - 1)))
    lines.append(rule)
    for row in cells:
        lines += _drawn(
            [
                _Cell(_given_way(known[at].kind, row[at], width, screen), width, known[at].kind)
                for at, width in widths.items()
            ],
            screen,
        )
    lines.append(rule)
    hidden = [one.column.name for at, one in enumerate(measured) if at not in widths and not one.is_empty]
    words = [footer] if footer else []
    words += [f"not shown: {', '.join(hidden)}"] if hidden else []
    return [*lines, *(flowed("; ".join(words), screen=screen) if words else [])]


def fields(
    pairs: Iterable[tuple[str, str]], *, states: Collection[str] = (), screen: Screen | None = None
) -> list[str]:
    """Names with their values, each on its own line; what is empty is left out. states: whose values get colours."""
    screen = screen or answer_screen()
    told = [(name, screen.spelled(harmless(value))) for name, value in pairs if value]
    named = max((width_of(name) for name, _ in told), default=0)
    room = None if screen.width is None else max(screen.width - named - len(_GAP), LEAST)
    lines: list[str] = []
    for name, value in told:
        parts = wrapped(value, room)
        kind = Kind.STATE if name in states else Kind.TEXT
        width = max(map(width_of, parts))
        lines += _drawn([_Cell([name], named, Kind.TEXT), _Cell(parts, width, kind)], screen)
    return lines


def _drawn(cells: Sequence[_Cell], screen: Screen) -> list[str]:
    height = max(len(cell.lines) for cell in cells)
    return [
        Drawn(_GAP.join(cell.line(number, screen) for cell in cells).rstrip()) for number in range(height)
    ]


def _given_way(kind: Kind, text: str, width: int, screen: Screen) -> list[str]:
    """The lines of a cell in so much room."""
    lines = text.split("\n")
    if kind is Kind.PATH:
        return [shortened(line, width, screen) for line in lines]
    if kind is Kind.TIME:
        lines = [line if width_of(line) <= width else _SECONDS.sub("", line) for line in lines]
    return [part for line in lines for part in wrapped(line, width)]


def _names(columns: Sequence[Column]) -> list[str]:
    """What stands above the columns: the first one of times names the zone of all."""
    first = next((column for column in columns if column.kind is Kind.TIME), None)
    return [f"{column.name} ({zone()})" if column is first else column.name for column in columns]


def _head_kind(kind: Kind) -> Kind:
    return Kind.NUMBER if kind is Kind.NUMBER else Kind.TEXT


def _measured(column: Column, name: str, cells: Sequence[str], room: int) -> _Measured:
    lines = [line for cell in cells for line in cell.split("\n")]
    content = max(map(width_of, lines), default=0)
    named = max(map(width_of, name.split(" ")))
    comfort = max(room // _SHARE, _COMFORTABLE)
    match column.kind:
        case Kind.NUMBER:
            least = comfortable = content
        case Kind.TIME:
            least = comfortable = max((width_of(_SECONDS.sub("", line)) for line in lines), default=0)
        case Kind.PATH:
            least, comfortable = min(content, LEAST), min(content, comfort)
        case _:
            word = max((width_of(word) for line in lines for word in line.split(" ")), default=0)
            least = min(word, max(room // _SHARE_OF_WORDS, _COMFORTABLE))
            comfortable = max(least, min(content, comfort))
    return _Measured(
        column=column,
        natural=max(content, width_of(name)),
        comfortable=max(comfortable, named),
        least=max(least, named),
        is_empty=not content,
    )


def _widths(measured: Sequence[_Measured], room: int | None) -> dict[int, int]:
    """The widths of the columns that are shown, by their places."""
    shown = dict(enumerate(measured))
    if room is None or _total(one.natural for one in measured) <= room:
        return {at: one.natural for at, one in shown.items()}
    shown = {at: one for at, one in shown.items() if not one.is_empty} or shown
    while _total(one.comfortable for one in shown.values()) > room:
        rank, last = max((one.column.rank, at) for at, one in shown.items())
        if not rank:
            break
        del shown[last]
    widths = {at: one.comfortable for at, one in shown.items()}
    while _total(widths.values()) > room:
        slack = {at: width > shown[at].least for at, width in widths.items()}
        widest = max(widths, key=lambda at: (slack[at], widths[at]))
        if not slack[widest] and widths[widest] <= LEAST:
            break
        widths[widest] -= 1
    while _total(widths.values()) < room:
        growing = [at for at, width in widths.items() if width < shown[at].natural]
        if not growing:
            break
        widths[min(growing, key=lambda at: widths[at])] += 1
    return widths


def _total(widths: Iterable[int]) -> int:
    known = list(widths)
    return sum(known) + len(_GAP) * (len(known) - 1)
