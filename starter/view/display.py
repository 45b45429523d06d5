"""How a run is shown while it goes on: a live region on a terminal, lines elsewhere, JSON for programs, or nothing."""

from dataclasses import dataclass, field
from typing import Final, Protocol

from control.progress import RunView
from holdfast.terms import RunKind
from holdfast.units import NS_PER_S, format_bytes, format_duration
from starter.shell.output import say, say_json, warn
from starter.view import json_lines
from starter.view.meter import Meter, Reading

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
        # rich costs 50 ms, which only this one needs
        from starter.view.live import LiveDisplay  # noqa: PLC0415

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
            say_json(json_lines.status(self.kind, view, self.meter.read(view.progress)))

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
        reading = self.meter.read(view.progress)
        if reading.elapsed_s >= self._next_s:
            self._next_s = reading.elapsed_s + _LINE_EVERY_S
            say(one_line(view, reading))

    def close(self) -> None: ...


def one_line(view: RunView, reading: Reading) -> str:
    """`[0:00:05] execute: 34.1%, 120/400 files, …`."""
    head = f"[{duration(reading.elapsed_s)}] {view.phase.value}"
    return f"{head}: {', '.join([f'{reading.fraction:.1%}', *counts(view, reading)])}"


def counts(view: RunView, reading: Reading) -> list[str]:
    """Files, bytes, rate, time left and errors, as far as they are known."""
    progress = view.progress
    if progress is None:
        return ["waiting for a worker"]
    more = "" if progress.selection_complete else "+"
    parts = [
        f"{progress.files_done:,}/{progress.files_total:,}{more} files",
        f"{format_bytes(progress.bytes_done)}/{format_bytes(progress.bytes_total)}{more}",
    ]
    if reading.bytes_per_s is not None:
        parts.append(f"{format_bytes(round(reading.bytes_per_s))}/s")
    if reading.seconds_left is not None and progress.bytes_done < progress.bytes_total:
        parts.append(f"{duration(reading.seconds_left)} left")
    if progress.errors:
        parts.append(f"{progress.errors:,} errors")
    if view.away:
        parts.append("the server does not answer")
    return parts


def duration(seconds: float) -> str:
    """3723 s -> "1:02:03"."""
    return format_duration(round(seconds * NS_PER_S))
