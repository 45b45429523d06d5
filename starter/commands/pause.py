"""`holdfast pause`: let a run rest, for as long as is wanted."""

from dataclasses import dataclass
from typing import Annotated

import typer

from contracts.control import PAUSE
from starter.requests.updates import steer
from starter.shell.options import CommonOptions
from starter.shell.person import asked


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseOptions(CommonOptions):
    """Options of `pause`."""

    run: Annotated[str, typer.Argument(metavar="RUN|SOURCE", help="A run's id, or its source's name.")]
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; shown and recorded.")] = ""


def pause(options: PauseOptions) -> int:
    """Stop a run's reading and writing at its last checkpoint, until `holdfast resume`; through every restart."""
    done = "is paused; `holdfast resume {run}` lets it go on"
    return steer(options, options.run, PAUSE, asked(options.reason), done)
