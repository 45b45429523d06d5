"""`holdfast pause` lets a run rest, for as long as is wanted."""

from dataclasses import dataclass

from holdfast.contracts.control import PAUSE
from holdfast.starter.requests.updates import steer
from holdfast.starter.shell.options import CommonOptions, NamedRun, Reason
from holdfast.starter.shell.person import asked


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseOptions(CommonOptions):
    """Options of `pause`."""

    run: NamedRun
    reason: Reason = ""


def pause(options: PauseOptions) -> int:
    """Stop a run's reading and writing at its last checkpoint, until `holdfast resume`; through every restart."""
    done = "is paused; `holdfast resume {run}` lets it go on"
    return steer(options, options.run, PAUSE, asked(options.reason), done)
