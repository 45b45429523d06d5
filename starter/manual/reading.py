"""Reads the grammar of the command line from the commands themselves, as Typer has built them.

What may stand in an option's or an argument's place is told by its long name, or else by its metavar, which people see
in the help; small letters there are a word as it is typed. One that neither list knows is refused, so that nobody adds
an option that no shell completes.
"""

from collections.abc import Iterable
from typing import Final

import typer
from typer._click import Command as TyperCommand
from typer.core import TyperArgument, TyperGroup, TyperOption

from holdfast.errors import UsageError
from holdfast.file_list import FileAction
from holdfast.format.pack import Compression
from holdfast.starter.commands.completion import SHELLS
from holdfast.starter.commands.stats import MODES
from holdfast.starter.completion.grammar import FILES, FOLDERS, Argument, Command, Option
from holdfast.starter.main import COMMANDS, build
from holdfast.starter.shell.options import GENERAL
from holdfast.terms import Overwrite, RunKind, RunStatus, Strategy, VerifyLevel

_BY_NAME: Final[dict[str, Iterable[str]]] = {
    "--source": ["<sources>"],
    "--strategy": Strategy,
    "--verify": VerifyLevel,
    "--level": (VerifyLevel.STRUCTURE, VerifyLevel.FULL),
    "--compression": Compression,
    "--mode": MODES,
    "--overwrite": Overwrite,
    "--on-missing": ("report", "ask", "restore"),
    "--on-damaged": ("report", "ask"),
    "--part": ("missing", "damaged", "all"),
    "--action": FileAction,
    "--kind": RunKind,
    "--status": RunStatus,
    "--group-by": ("source", "host", "paths", "tags", "host,paths"),
    "--repository-version": ("stable", "latest", "1", "2"),
}
_BY_METAVAR: Final[dict[str, Iterable[str]]] = {
    "ACTION": FileAction,
    "DIR": [FOLDERS],
    "DRILL": ["<drills>"],
    "FILE": [FILES],
    "HOST": ["<hosts>"],
    "PATH": [FILES],
    "PATHS": ["<sources>", FILES],
    "REPO": ["<repositories>", FOLDERS],
    "RUN": ["<runs>", "<sources>"],
    "RUN|SOURCE": ["<running>", "<sources>", "<systems>"],
    "SHELL": SHELLS,
    "SNAPSHOT": ["<snapshots>"],
    "SOURCE": ["<sources>"],
    "SOURCE.NAME": ["<schedules>"],
    "SYSTEM": ["<systems>"],
    "TAG": ["<tags>"],
    "up|worker": ("up", "worker"),
}
_FREE: Final = frozenset(
    (
        *("COMMAND", "DATE", "DAYS", "HH:MM-HH:MM=RATE", "ID", "IP", "KIB", "LIMIT", "MEMBER=HOST", "MIB"),
        *(
            "MIGRATION",
            "MOMENT",
            "N",
            "NAME",
            "NAME=FILE",
            "NAME[:HEADER]",
            "PACK",
            "PATTERN",
            "PORT",
            "RATE",
        ),
        *("SHARE", "SIZE", "SPAN", "TEXT", "TIME", "URL", "WHEN"),
    )
)
"""What only the person knows."""
_HELP: Final = Option(
    ["--help", "-h"], "", "Show what there is, and end.", [], repeatable=False, group=GENERAL
)
_PARTS: Final = ("[TAG,…]", "[,TAG…]", "[:SUBFOLDER]", "…")
"""Of metavars: that there may be more of it."""


def read() -> Command:
    """The command line as it is, with all commands loaded.

    Raises:
        UsageError: nothing says what may stand in a place.
    """
    root = typer.main.get_command(build(list(COMMANDS)))
    of_all = {name for parameter in root.params for name in parameter.opts if name.startswith("--")}
    return _command(root, "", "", frozenset(of_all))


def _command(command: TyperCommand, name: str, summary: str, of_all: frozenset[str]) -> Command:
    """One command, and all that are below it; of_all: options that are the root's."""
    own = [one for one in command.params if not name or not of_all.intersection(one.opts)]
    below = command.commands if isinstance(command, TyperGroup) else {}
    description = "\n\n".join(" ".join(part.split()) for part in (command.help or "").split("\n\n"))
    return Command(
        name=name,
        summary=summary or command.get_short_help_str(200),
        description=description,
        options=[_option(name, one) for one in own if isinstance(one, TyperOption)]
        + ([] if name else [_HELP]),
        arguments=[_argument(name, one) for one in own if isinstance(one, TyperArgument)],
        commands={
            word: _command(one, f"{name} {word}".strip(), "" if name else COMMANDS[word], of_all)
            for word, one in below.items()
        },
    )


def _option(command: str, option: TyperOption) -> Option:
    names = [*sorted(option.opts, key=len, reverse=True), *option.secondary_opts]
    takes_value = not option.is_flag and not option.count
    metavar = (option.metavar or "VALUE") if takes_value else ""
    return Option(
        names=names,
        metavar=metavar,
        help=option.help or "",
        completed=_completed(command, names[0], metavar) if metavar else [],
        repeatable=option.multiple or option.count,
        group=option.rich_help_panel or "",
    )


def _argument(command: str, argument: TyperArgument) -> Argument:
    metavar = argument.metavar or (argument.name or "").upper()
    if not argument.required and not metavar.startswith("["):
        metavar = f"[{metavar}]"
    return Argument(
        metavar=metavar,
        help=argument.help or "",
        completed=_completed(command, "", metavar),
        repeatable=argument.nargs != 1,
    )


def _completed(command: str, name: str, metavar: str) -> list[str]:
    if name in _BY_NAME:
        return [str(word) for word in _BY_NAME[name]]
    bare = metavar
    for part in _PARTS:
        bare = bare.replace(part, "")
    if bare.startswith("[") and bare.endswith("]"):
        bare = bare[1:-1]
    found: list[str] = []
    for kind in [bare] if bare in _BY_METAVAR else bare.split("|"):
        known = [kind] if kind.islower() else _BY_METAVAR.get(kind, _BY_METAVAR.get(kind.removesuffix("S")))
        if known is None and kind not in _FREE:
            raise UsageError(
                f"holdfast {command}: nothing says what {name} {metavar} may be",
                hint="Add its metavar to starter/manual/reading.py: to what is completed, or to what is free.",
            )
        found += map(str, known or ())
    return found
