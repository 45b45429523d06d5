"""`holdfast throttle` limits how fast a run reads."""

import re
from dataclasses import dataclass
from typing import Annotated, Final

import typer

from holdfast.contracts.control import THROTTLE, Throttle, ThrottleRequest, ThrottleWindow, check_throttle
from holdfast.errors import UsageError
from holdfast.service.settings.limits import RATE_EXAMPLES, parse_rate
from holdfast.starter.requests.updates import steer
from holdfast.starter.shell.options import CommonOptions, NamedRun, Reason, Texts
from holdfast.starter.shell.person import asked

_WINDOW: Final = re.compile(r"(?P<start>\d\d:\d\d)-(?P<end>\d\d:\d\d)=(?P<rate>.+)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrottleOptions(CommonOptions):
    """Options of `throttle`."""

    run: NamedRun
    rate: Annotated[str, typer.Argument(metavar="RATE", help='Bytes per second: "10MiB", or "none".')]
    window: Annotated[
        Texts,
        typer.Option(
            metavar="HH:MM-HH:MM=RATE",
            help="Another rate at these times of day, by the worker's clock; repeatable.",
        ),
    ] = ()
    reason: Reason = ""


def throttle(options: ThrottleOptions) -> int:
    """Limit how fast a run reads its source (a backup) or the repository (a restore), from now on."""
    wanted = wanted_throttle(options)
    message = ThrottleRequest(throttle=wanted, asked=asked(options.reason))
    done = "is throttled" if wanted.limits else "goes as fast as it can"
    return steer(options, options.run, THROTTLE, message, done)


def wanted_throttle(options: ThrottleOptions) -> Throttle:
    """What is asked for.

    Raises:
        UsageError: a rate or a window is none.
    """
    wanted = Throttle(
        bytes_per_second=_rate(options.rate, "RATE"),
        windows=tuple(_window(text) for text in options.window),
    )
    try:
        check_throttle(wanted)
    except ValueError as error:
        raise UsageError(
            str(error), hint="Write a rate like 10MiB, a window like 22:00-06:00=50MiB."
        ) from None
    return wanted


def _window(text: str) -> ThrottleWindow:
    match = _WINDOW.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"--window: {text!r} is none", hint="Write one like 22:00-06:00=50MiB.")
    return ThrottleWindow(
        start=match["start"], end=match["end"], bytes_per_second=_rate(match["rate"], "--window")
    )


def _rate(text: str, option: str) -> int:
    try:
        return parse_rate(text)
    except ValueError:
        raise UsageError(
            f"{option}: {text!r} is no rate", hint=f"Write one like {RATE_EXAMPLES}; at least 1 KiB/s."
        ) from None
