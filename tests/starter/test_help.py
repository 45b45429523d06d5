"""Help pages: headings and their order, examples that parse, lines that fit 80 columns. No command is run."""

import dataclasses
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from holdfast.starter.main import COMMANDS, build, main
from holdfast.starter.shell.examples import EXAMPLES
from holdfast.starter.shell.help import OPTIONS, heading_of
from holdfast.starter.shell.options import GENERAL, REPOSITORY, CommonOptions

WIDTH = 80
COMMON = {field.name for field in dataclasses.fields(CommonOptions)}


def commands(group: TyperGroup, words: str = "") -> Iterator[tuple[str, Any]]:
    """All commands by their words, groups too."""
    yield words, group
    for name, command in group.commands.items():
        path = f"{words} {name}".strip()
        if isinstance(command, TyperGroup):
            yield from commands(command, path)
        else:
            yield path, command


@pytest.fixture(scope="module")
def tree() -> Mapping[str, Any]:
    whole = typer.main.get_command(build(list(COMMANDS)))
    assert isinstance(whole, TyperGroup)
    return dict(commands(whole))


def test_each_command_has_an_example_and_each_example_parses(tree: Mapping[str, Any]) -> None:
    assert set(EXAMPLES) == set(tree)
    root = tree[""]
    for words, examples in EXAMPLES.items():
        assert examples.startswith("\n# ")
        parsed: set[str] = {""}
        for line in examples.replace("\\\n", " ").splitlines():
            if line and not line.startswith("# "):
                program, *arguments = shlex.split(line)
                assert program == "holdfast"
                parsed |= _parsed(root, arguments)
        assert words in parsed


def _parsed(command: Any, arguments: list[str]) -> set[str]:
    """Parse as the program does, down to the command that is named; its words, and those of the groups above it."""
    words: set[str] = set()
    path: list[str] = []
    rest = arguments
    while True:
        with command.make_context("holdfast", list(rest)) as context:
            if not isinstance(command, TyperGroup):
                return words
            rest = [*context._protected_args, *context.args]
            path.append(rest.pop(0))
            command = command.commands[path[-1]]
            words.add(" ".join(path))


def test_options_stand_under_headings_and_common_ones_last_in_one_order(tree: Mapping[str, Any]) -> None:
    found = set()
    for words, command in tree.items():
        headings = list(dict.fromkeys(heading_of(parameter) for parameter in command.params))
        if "config" not in {parameter.name for parameter in command.params}:
            continue
        assert headings[-2:] == [REPOSITORY, GENERAL] or words == "", words
        found.add(tuple(p.name for p in command.params if p.name in COMMON))
    assert len(found) == 1


def test_each_name_under_a_heading_is_an_option(tree: Mapping[str, Any]) -> None:
    kinds: list[type[CommonOptions]] = [CommonOptions, *kinds_below(CommonOptions)]
    assert len(kinds) > 30
    for kind in kinds:
        names = {field.name for field in dataclasses.fields(kind)}
        for heading, listed in vars(kind).get("GROUPS", {}).items():
            assert names.issuperset(listed), (kind, heading)
    assert tree


def kinds_below(kind: type[CommonOptions]) -> Iterator[type[CommonOptions]]:
    for below in kind.__subclasses__():
        yield below
        yield from kinds_below(below)


def test_pages_fit_the_terminal(tree: Mapping[str, Any]) -> None:
    for words, command in tree.items():
        context = typer.Context(command, info_name=f"holdfast {words}".strip(), terminal_width=WIDTH)
        page = command.get_help(context)
        assert max(map(len, page.splitlines())) <= WIDTH, words
        assert "\nExamples:\n  # " in page, words
        assert page.count(f"\n{OPTIONS}:") <= 1


def test_a_page_of_the_program_itself_has_sections(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["repair", "--help"]) == 0
    page = capsys.readouterr().out
    assert page.index("Commands:\n  index ") < page.index("General:\n  -h, --help") < page.index("Examples:")
