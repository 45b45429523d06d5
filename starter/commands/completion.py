"""`holdfast completion` prints what makes a shell complete holdfast's command lines."""

from dataclasses import dataclass
from importlib.resources import files
from typing import Annotated, Final

import typer

from holdfast.errors import EXIT_COMPLETE
from holdfast.starter import completion as wing
from holdfast.starter.shell.options import CommonOptions, one_word
from holdfast.starter.shell.output import say

SHELLS: Final = {"bash": "holdfast.bash", "zsh": "_holdfast", "fish": "holdfast.fish"}
"""Each with its script, by the name under which the shell would find it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionOptions(CommonOptions):
    """Options of `completion`."""

    shell: Annotated[str, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")]


def completion(options: CompletionOptions) -> int:
    """Print the completion script of a shell; its first lines say where to put it.

    Commands, options and values are asked for at each press of Tab, so the script stays as it is for good.
    """
    shell = one_word("SHELL", options.shell, SHELLS)
    script = files(wing).joinpath("scripts", SHELLS[shell])
    say(script.read_text("utf-8").rstrip("\n"))
    return EXIT_COMPLETE
