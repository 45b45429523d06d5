"""`holdfast priority`: let a run go before others, or after them."""

import asyncio
from dataclasses import dataclass
from typing import Annotated

import typer

from contracts.control import HIGHEST_PRIORITY, LOWEST_PRIORITY, SET_PRIORITY, PriorityRequest
from control import steering
from holdfast.errors import EXIT_COMPLETE
from starter.shell.invocation import Invocation
from starter.shell.options import CommonOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorityOptions(CommonOptions):
    """Options of `priority`."""

    run: Annotated[str, typer.Argument(metavar="RUN|SOURCE", help="A run's id, or its source's name.")]
    number: Annotated[
        int,
        typer.Argument(
            metavar="N",
            help="1 (first) to 5 (last); 3 is the default.",
            min=HIGHEST_PRIORITY,
            max=LOWEST_PRIORITY,
        ),
    ]
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; shown and recorded.")] = ""


def priority(options: PriorityOptions) -> int:
    """Change which runs' steps the workers take first, from the next step on."""
    invocation = Invocation.of(options)
    message = PriorityRequest(priority=options.number, asked=steering.asked(options.reason))
    answer = asyncio.run(steering.steer(invocation, options.run, SET_PRIORITY, message))
    steering.tell(invocation, answer, f"has priority {options.number}")
    return EXIT_COMPLETE
