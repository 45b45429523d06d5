"""Help pages have options and commands under headings, in the same order everywhere, and examples at their end.

The headings are data: each option and each command bears its own as `rich_help_panel`, whichever page is made of it.
Examples are loaded for a page only (examples.py).
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from typer.core import TyperCommand, TyperGroup

from holdfast.starter.shell.options import GENERAL

if TYPE_CHECKING:
    from typer._click import Command, Context, HelpFormatter, Parameter

ARGUMENTS: Final = "Arguments"
OPTIONS: Final = "Options"
COMMANDS: Final = "Commands"
_PROGRAM: Final = "holdfast"


class Page(TyperCommand):
    """A command whose page is laid out so."""

    def format_options(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        """Write arguments, then options."""
        _write_options(self, ctx, formatter)

    def format_epilog(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        """Write the examples."""
        _write_examples(ctx, formatter)


class PageOfCommands(TyperGroup):
    """A command that has commands: they come first, because that is what is looked for."""

    def format_options(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        """Write commands, then options."""
        self.format_commands(ctx, formatter)
        _write_options(self, ctx, formatter)

    def format_commands(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        """Write a line for each command, in all sections from the same column on."""
        shown = {name: self.commands[name] for name in self.list_commands(ctx)}
        width = max(map(len, shown), default=0)
        rows = (
            (_heading(command, COMMANDS), (name.ljust(width), _summary(command)))
            for name, command in shown.items()
            if not command.hidden
        )
        _write_sections(rows, formatter)

    def format_epilog(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        """Write the examples."""
        _write_examples(ctx, formatter)


def examples_of(command_path: str) -> str:
    """The examples of a command, by its words ("holdfast repair index"): comments, and what is typed."""
    from holdfast.starter.shell.examples import EXAMPLES  # noqa: PLC0415 - only pages need them

    return EXAMPLES.get(command_path.removeprefix(_PROGRAM).strip(), "").strip()


def heading_of(parameter: "Parameter") -> str:
    """What an option or argument stands under."""
    if parameter.param_type_name == "argument":
        return ARGUMENTS
    return GENERAL if parameter.name == "help" else _heading(parameter, OPTIONS)


def _write_examples(ctx: "Context", formatter: "HelpFormatter") -> None:
    examples = examples_of(ctx.command_path)
    if examples:
        with formatter.section("Examples"):
            formatter.write("".join(f"  {line}\n" for line in examples.splitlines()))


def _write_options(command: "Command", ctx: "Context", formatter: "HelpFormatter") -> None:
    rows = []
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if record is not None:
            rows.append((heading_of(parameter), record))
    _write_sections(rows, formatter)


def _write_sections(rows: Iterable[tuple[str, tuple[str, str]]], formatter: "HelpFormatter") -> None:
    sections: dict[str, list[tuple[str, str]]] = {}
    for heading, row in rows:
        sections.setdefault(heading, []).append(row)
    for heading, found in sections.items():
        with formatter.section(heading):
            formatter.write_dl(found)


def _heading(of: object, otherwise: str) -> str:
    return getattr(of, "rich_help_panel", None) or otherwise


def _summary(command: "Command") -> str:
    """Its first sentence."""
    return (command.help or "").partition("\n")[0].partition(". ")[0].rstrip(".") + "."
