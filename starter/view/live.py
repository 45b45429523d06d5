"""Draws the live region on a terminal: link, phase, bar, counts."""

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from holdfast.control.progress import RunView
from holdfast.starter.shell.text import harmless
from holdfast.starter.view.meter import Meter, Reading
from holdfast.starter.view.words import counts, duration
from holdfast.terms import RunKind


class LiveDisplay:
    """One region that is drawn again in place; notes scroll by above it."""

    interval_s = 0.5

    def __init__(self, kind: RunKind, console: Console | None = None) -> None:
        self._kind = kind
        self._console = console or Console(highlight=False)
        self._meter = Meter()
        self._view = RunView()
        self._reading = self._meter.read(None)
        self._live = Live(
            console=self._console,
            get_renderable=self._draw,
            refresh_per_second=4,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def note(self, text: str) -> None:
        """Print above the region."""
        self._console.print(Text(harmless(text)))

    def link(self, url: str) -> None:
        """Print the link above the region, where it stays."""
        self._console.print(Text("Web UI: ").append(url, style=f"link {url}"), soft_wrap=True)

    def show(self, view: RunView) -> None:
        """Draw the run as it is now."""
        self._view, self._reading = view, self._meter.read(view.progress, stands=view.stands)

    def close(self) -> None:
        """Take the region away; what follows is printed in its place."""
        self._live.stop()

    def _draw(self) -> RenderableType:
        return draw(self._kind, self._view, self._reading)


def draw(kind: RunKind, view: RunView, reading: Reading) -> RenderableType:
    """The region's content."""
    head = Table.grid(padding=(0, 1))
    head.add_row(
        Text(f"{kind.value}: {view.phase.value}", style="bold"),
        ProgressBar(total=1.0, completed=reading.fraction, width=40),
        Text(f"{reading.fraction:6.1%}"),
        Text(duration(reading.elapsed_s)),
    )
    lines: list[RenderableType] = [head, Text("  " + "  ·  ".join(counts(view, reading)))]
    if view.wait is not None and view.wait.stands:
        lines.append(Text(f"  waits: {harmless(view.wait.words)}", style="yellow"))
        if view.wait.next_step:
            lines.append(Text(f"  {harmless(view.wait.next_step)}"))
    return Group(*lines)
