"""The grammar of the command line as data: commands, options, and what may stand in each place.

It is made from the commands themselves (`starter/manual`, `make manual`; a test holds the file to them), so that
neither a shell that completes a word nor the man page needs a command's module. One JSON array a line, each below the
command that came before it:

    ["command", "system backup", SUMMARY, DESCRIPTION]
    ["option", NAMES, METAVAR, HELP, COMPLETED, REPEATABLE, GROUP]
    ["argument", METAVAR, HELP, COMPLETED, REPEATABLE]

The first command has no name: its options stand before any other's or after it. COMPLETED lists words as they are, and
between angle brackets, "<sources>", where words come from (known.py). This module loads nothing but `json`: it is read
at each press of the Tab key.
"""

import json
from os import path
from typing import Final, NamedTuple

FILE: Final = "commands.jsonl"
FILES: Final = "<files>"
FOLDERS: Final = "<folders>"


class Option(NamedTuple):
    """An option. names: with their dashes, the long one first. metavar: empty where it takes no value."""

    names: list[str]
    metavar: str
    help: str
    completed: list[str]
    repeatable: bool
    group: str


class Argument(NamedTuple):
    """A word that has its meaning by its place. metavar: in brackets where it may be left out."""

    metavar: str
    help: str
    completed: list[str]
    repeatable: bool


class Command(NamedTuple):
    """A command, or a group of commands.

    name: as it is typed, "system backup". summary: one line. description: paragraphs. commands: those below it,
    by their own word.
    """

    name: str
    summary: str
    description: str
    options: list[Option]
    arguments: list[Argument]
    commands: dict[str, "Command"]


def load() -> Command:
    """The whole command line; its root has the options that all commands take."""
    with open(path.join(path.dirname(__file__), FILE), encoding="utf-8") as file:
        return parse(file.read())


def parse(text: str) -> Command:
    """The command line out of the text of the file."""
    root = command = Command("", "", "", [], [], {})
    for line in text.splitlines():
        kind, *row = json.loads(line)
        match kind:
            case "option":
                command.options.append(Option(*row))
            case "argument":
                command.arguments.append(Argument(*row))
            case _:
                name, summary, description = row
                command = Command(name, summary, description, [], [], {})
                if command.name:
                    _above(root, command.name).commands[command.name.rpartition(" ")[2]] = command
                else:
                    root = command
    return root


def write(root: Command) -> str:
    """The text of the file."""
    lines = [json.dumps(row, ensure_ascii=False) for row in _rows(root)]
    return "\n".join(lines) + "\n"


def _above(root: Command, name: str) -> Command:
    found = root
    for word in name.split(" ")[:-1]:
        found = found.commands[word]
    return found


def _rows(command: Command) -> list[list[object]]:
    rows: list[list[object]] = [["command", command.name, command.summary, command.description]]
    rows += [["option", *option] for option in command.options]
    rows += [["argument", *argument] for argument in command.arguments]
    for below in command.commands.values():
        rows += _rows(below)
    return rows
