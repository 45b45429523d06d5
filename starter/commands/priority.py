"""`holdfast priority` lets a run go before others, or after them."""

from dataclasses import dataclass
from typing import Annotated

import typer

from holdfast.contracts.control import HIGHEST_PRIORITY, LOWEST_PRIORITY, SET_PRIORITY, PriorityRequest
from holdfast.starter.requests.updates import steer
from holdfast.starter.shell.options import CommonOptions, NamedRun, Reason
from holdfast.starter.shell.person import asked


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorityOptions(CommonOptions):
    """Options of `priority`."""

    run: NamedRun
    number: Annotated[
        int,
        typer.Argument(
            metavar="N",
            help="1 (first) to 5 (last); 3 is the default.",
            min=HIGHEST_PRIORITY,
            max=LOWEST_PRIORITY,
        ),
    ]
    reason: Reason = ""


def priority(options: PriorityOptions) -> int:
    """Change which runs' steps the workers take first, from the next step on."""
    message = PriorityRequest(priority=options.number, asked=asked(options.reason))
    return steer(options, options.run, SET_PRIORITY, message, f"has priority {options.number}")
