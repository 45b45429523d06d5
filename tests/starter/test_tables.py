"""Tables, lists of values and sentences on terminals of any width, and where there is none."""

import io
import itertools
import re

import pytest
from rich.cells import cell_len

from holdfast.starter.shell.cells import flowed, shortened, wrapped
from holdfast.starter.shell.screen import Screen
from holdfast.starter.shell.table import Column, Kind, fields, table
from holdfast.starter.shell.text import harmless
from holdfast.units import counted, format_age, format_duration

PIPE = Screen()
PATH = "/home/alice/projects/日本語の長い名前/2026/november/report.final.pdf"
COLUMNS = (
    Column("Run"),
    Column("Kind", 3),
    Column("Status", 0, Kind.STATE),
    Column("What", 1, Kind.PATH),
    Column("Started", 2, Kind.TIME),
    Column("Nothing", 9),
    Column("Size", 4, Kind.NUMBER),
    Column("Result", 0, Kind.STATE),
)
ROWS = (
    (
        "0001aaaa",
        "backup",
        "failed",
        PATH,
        "2026-11-29 12:34:56",
        "",
        "1.5 GiB",
        "3 PROBLEMS, snapshot 12345678",
    ),
    ("0002bbbb", "restore", "complete", "docs", "2026-11-30 12:34:56", "", "12 B", "verified\nin two lines"),
)
COLOUR = re.compile("\x1b\\[[0-9;]*m")


def drawn(width: int, *, colours: bool = False) -> list[str]:
    return table(COLUMNS, ROWS, "2 runs", screen=Screen(width=width, colours=colours))


def heading(lines: list[str]) -> set[str]:
    return {column.name for column in COLUMNS if column.name in lines[0]}


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
@pytest.mark.parametrize("colours", [False, True])
def test_no_line_is_wider_than_the_terminal_and_every_row_says_what_always_stays(
    width: int, *, colours: bool
) -> None:
    lines = [COLOUR.sub("", line) for line in drawn(width, colours=colours)]
    assert max(map(cell_len, lines)) <= width
    text = "\n".join(lines)
    assert all(
        word in text for word in ("0001aaaa", "0002bbbb", "failed", "complete", "PROBLEMS", "12345678")
    )


def test_without_a_terminal_all_is_there_on_its_line() -> None:
    lines = table(COLUMNS, ROWS, "2 runs", screen=PIPE)
    assert heading(lines) == {column.name for column in COLUMNS}
    assert "not shown" not in lines[-1]
    assert all(cell in lines[2] for cell in ROWS[0])


def test_columns_go_by_their_rank_and_the_last_line_names_them() -> None:
    assert heading(drawn(200)) == {column.name for column in COLUMNS}
    seen = [heading(drawn(width)) for width in range(200, 39, -1)]
    gone = [name for wider, narrower in itertools.pairwise(seen) for name in wider - narrower]
    assert list(dict.fromkeys(gone)) == ["Nothing", "Size", "Kind", "Started", "What"]
    assert drawn(80)[-1].startswith("2 runs; not shown: ")
    assert "Nothing" not in " ".join(drawn(80))


def test_a_table_without_rows_is_its_footer_or_its_head() -> None:
    assert table(COLUMNS, [], "0 runs", screen=Screen(width=40)) == ["0 runs"]
    head = table(COLUMNS, [], screen=Screen(width=40))
    assert head[0].startswith("Run")
    assert max(map(cell_len, head)) <= 40


def test_a_path_loses_its_middle_a_time_its_seconds_and_text_nothing() -> None:
    columns = (Column("P", 0, Kind.PATH), Column("T", 0, Kind.TIME), Column("Words"))
    lines = table(columns, [(PATH, "2026-11-29 12:34:56", "some words of text")], screen=Screen(width=56))
    assert lines[2:-1] == [
        "/home…rt.final.pdf  2026-11-29 12:34   some words of",
        "                                       text",
    ]
    assert shortened("/a/long/path/to/file", 11, Screen(encoding="ascii")) == "/a/..o/file"
    assert cell_len(shortened("日" * 40, 11, PIPE)) in {10, 11}


def test_text_is_wrapped_between_words_and_a_word_that_is_too_long_is_broken() -> None:
    assert wrapped("one two three", 7) == ["one two", "three"]
    assert wrapped("a abcdefghij b", 4) == ["a", "abcd", "efgh", "ij b"]
    assert wrapped("日本日本 b", 4) == ["日本", "日本", "b"]
    assert wrapped("one two\n\nthree", None) == ["one two", "", "three"]
    assert flowed("  a sentence that goes on", screen=Screen(width=16)) == [
        "  a sentence",
        "    that goes on",
    ]


def test_states_have_colours_only_where_they_are_wanted() -> None:
    assert any("\x1b[1;31mfailed\x1b[0m" in line for line in drawn(200, colours=True))
    assert not any("\x1b" in line for line in drawn(200))
    (line,) = fields([("Status", "partial"), ("None", "")], states=("Status",), screen=Screen(colours=True))
    assert line == "Status  \x1b[33mpartial\x1b[0m"
    named = table((Column("State", 0, Kind.STATE),), [("\x1b[31m failed",)], screen=Screen(colours=True))
    assert named[2] == "\\x1b[31m \x1b[1;31mfailed\x1b[0m"
    assert harmless(named[2]) == named[2]
    assert harmless(f"{named[2]}") != named[2]


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("variables", "colours"),
    [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False), ({"TERM": "xterm", "NO_COLOR": "1"}, False)],
)
def test_a_terminal_says_what_it_takes(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], *, colours: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in {**variables, "COLUMNS": "71"}.items():
        monkeypatch.setenv(name, value)
    assert Screen.of(Terminal()) == Screen(width=71, colours=colours)
    assert Screen.of(io.StringIO()) == PIPE


def test_what_the_locale_has_no_letter_for_is_as_wide_as_its_escape() -> None:
    lines = table(("Name",), [("日本",), ("abc",)], screen=Screen(width=40, encoding="ascii"))
    assert lines[1:3] == ["-" * 12, "\\u65e5\\u672c"]


def test_counts_durations_and_ages_are_words_of_people() -> None:
    assert [counted(count, "snapshot") for count in (0, 1, 2000)] == [
        "0 snapshots",
        "1 snapshot",
        "2,000 snapshots",
    ]
    assert counted(1, "run goes", "runs go") == "1 run goes"
    assert [format_duration(ns) for ns in (0, 340_000_000, 3_723_000_000_000)] == [
        "0 ms",
        "340 ms",
        "1:02:03",
    ]
    assert [format_age(seconds * 10**9) for seconds in (0, 40, 4320, 3600, 273_600, 864_000)] == [
        "0s", "40s", "1h 12m", "1h", "3d 4h", "10d",
    ]  # fmt: skip
