"""`holdfast config` shows an example of the settings, says what is wrong with them, and what counts of them."""

import json
import os
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Final

import typer

from holdfast.errors import EXIT_COMPLETE, EXIT_FAILED
from holdfast.service import settings
from holdfast.service.settings.check import Checked, check
from holdfast.service.settings.effective import Effective, Value, effective
from holdfast.service.settings.lines import Part, dotted
from holdfast.starter.shell.options import CommonOptions
from holdfast.starter.shell.output import say, say_json, tell
from holdfast.starter.shell.registration import add_command
from holdfast.starter.shell.text import Drawn, harmless
from holdfast.units import counted

app: Final = typer.Typer(help="Show an example of the settings, check them, show what counts.")
EXAMPLE: Final = "holdfast.example.toml"
_COMMENT_AT: Final = 48


def example(options: CommonOptions) -> int:
    """Print a settings file that explains every key; what stands there behind a # is the default, or an example."""
    text = files(settings).joinpath(EXAMPLE).read_text("utf-8")
    if options.json:
        say_json({"message_type": "config_example", "text": text})
    else:
        say(text.rstrip("\n"))
    return EXIT_COMPLETE


def check_file(options: CommonOptions) -> int:
    """Say all that is wrong with the settings file, each by its line, with what to do about it.

    Exit code 1 where something is. Files that the settings name have to be there, and readable by this user.
    """
    checked = check(options.config, os.environ)
    document = {
        "message_type": "config_check",
        "file": None if checked.file is None else str(checked.file),
        "problems": [
            {"key": one.key, "line": one.line, "message": one.message, "hint": one.hint}
            for one in checked.problems
        ],
    }
    tell(options, document, _report(checked))
    return EXIT_FAILED if checked.problems else EXIT_COMPLETE


def show(options: CommonOptions) -> int:
    """Show what counts, as a settings file, and where each value comes from. Secrets are hidden."""
    found = effective(options.config, os.environ)
    values = [
        {
            "key": dotted((*steps, value.key)),
            "value": value.value,
            "origin": value.origin,
            "line": value.line or None,
        }
        for steps, table in found.tables.items()
        for value in table
    ]
    document = {"message_type": "config", "file": _name(found.file), "values": values}
    return tell(options, document, (Drawn(harmless(line)) for line in _as_file(found)))


def _report(checked: Checked) -> Iterator[str]:
    if checked.file is None:
        yield "there is no settings file: everything has its default; `holdfast config example` prints one"
        return
    if not checked.problems:
        yield f"{checked.file}: nothing is wrong"
        return
    yield f"{checked.file}: {counted(len(checked.problems), 'problem')}"
    for one in checked.problems:
        where = f"line {one.line}" if one.line else "the file"
        yield f"{where}: {f'{one.key}: ' if one.key else ''}{one.message}"
        yield f"    {one.hint}"


def _as_file(found: Effective) -> Iterator[str]:
    yield f"# {_name(found.file) or 'there is no settings file: everything has its default'}"
    for steps, table in found.tables.items():
        if steps:
            yield from ("", _header(steps))
        for value in table:
            line = f"{value.key} = {_toml(value.value)}"
            yield f"{line.ljust(_COMMENT_AT - 2)}  # {_origin(value)}"


def _origin(value: Value) -> str:
    return f"line {value.line}" if value.origin == "file" else value.origin


def _header(steps: tuple[Part, ...]) -> str:
    names = dotted([step for step in steps if isinstance(step, str)])
    return f"[[{names}]]" if isinstance(steps[-1], int) else f"[{names}]"


def _toml(value: object) -> str:
    """A value as TOML has it; its texts are JSON's."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)


def _name(file: Path | None) -> str | None:
    return None if file is None else str(file)


add_command(app, "example", example)
add_command(app, "check", check_file)
add_command(app, "show", show)
