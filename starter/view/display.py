"""Shows a run while it goes on: a live region on a terminal, lines elsewhere, JSON for programs, or nothing."""

from dataclasses import dataclass, field
from typing import Final, Protocol

from holdfast.control.progress import RunView
from holdfast.starter.shell.output import say, say_json, warn
from holdfast.starter.view import json_lines
from holdfast.starter.view.meter import Meter
from holdfast.starter.view.words import one_line
from holdfast.terms import RunKind

_LINE_EVERY_S: Final = 5.0


class Display(Protocol):
    """Where a run is shown. interval_s: how often it wants to know."""

    interval_s: float

    def note(self, text: str) -> None:
        """Something that a person should know now."""

    def link(self, url: str) -> None:
        """Where the run is in the Web UI."""

    def show(self, view: RunView) -> None:
        """The run has come so far."""

    def close(self) -> None:
        """The run is over, or is left."""


def display_for(kind: RunKind, *, as_json: bool, quiet: bool, terminal: bool) -> Display:
    """The display that fits."""
    if as_json:
        return JsonDisplay(kind=kind, quiet=quiet)
    if quiet:
        return QuietDisplay()
    if terminal:
        from holdfast.starter.view.live import LiveDisplay  # noqa: PLC0415 - rich costs 50 ms, which only this one needs

        return LiveDisplay(kind)
    return LineDisplay()


@dataclass(slots=True, kw_only=True)
class QuietDisplay:
    """Tells only what went wrong."""

    interval_s: float = 1.0

    def note(self, text: str) -> None:
        warn(text)

    def link(self, url: str) -> None: ...

    def show(self, view: RunView) -> None: ...

    def close(self) -> None: ...


@dataclass(slots=True, kw_only=True)
class JsonDisplay:
    """restic's status lines."""

    kind: RunKind
    quiet: bool
    interval_s: float = 1.0
    meter: Meter = field(default_factory=Meter)

    def note(self, text: str) -> None:
        say_json(json_lines.note(text))

    def link(self, url: str) -> None:
        say_json({"message_type": "link", "url": url})

    def show(self, view: RunView) -> None:
        if not self.quiet:
            say_json(json_lines.status(self.kind, view, self.meter.read(view.progress, stands=view.stands)))

    def close(self) -> None: ...


@dataclass(slots=True, kw_only=True)
class LineDisplay:
    """A line every few seconds, for logs."""

    interval_s: float = 1.0
    meter: Meter = field(default_factory=Meter)
    _next_s: float = _LINE_EVERY_S

    def note(self, text: str) -> None:
        say(text)

    def link(self, url: str) -> None:
        say(f"Web UI: {url}")

    def show(self, view: RunView) -> None:
        reading = self.meter.read(view.progress, stands=view.stands)
        if reading.elapsed_s >= self._next_s:
            self._next_s = reading.elapsed_s + _LINE_EVERY_S
            say(one_line(view, reading))

    def close(self) -> None: ...
