"""`holdfast pause`: let a run rest, for as long as is wanted."""

import asyncio
from dataclasses import dataclass
from typing import Annotated

import typer

from contracts.control import PAUSE
from control import steering
from holdfast.errors import EXIT_COMPLETE
from starter.shell.invocation import Invocation
from starter.shell.options import CommonOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseOptions(CommonOptions):
    """Options of `pause`."""

    run: Annotated[str, typer.Argument(metavar="RUN|SOURCE", help="A run's id, or its source's name.")]
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; shown and recorded.")] = ""


def pause(options: PauseOptions) -> int:
    """Stop a run's reading and writing at its last checkpoint, until `holdfast resume`; through every restart."""
    invocation = Invocation.of(options)
    answer = asyncio.run(steering.steer(invocation, options.run, PAUSE, steering.asked(options.reason)))
    steering.tell(invocation, answer, f"is paused; `holdfast resume {answer.run.short_id}` lets it go on")
    return EXIT_COMPLETE
