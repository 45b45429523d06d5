"""What the demonstration shows: steps, progress, kills, and the summary at the end."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from demo.command import RunningCommand
from holdfast.units import format_bytes


class Bar:
    """The progress of one command."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress = progress
        self._task = progress.add_task(name, total=None)

    def show(self, command: RunningCommand) -> None:
        """Draw the command's newest status."""
        status = command.newest
        done = status.bytes_done or status.bytes_restored
        self._progress.update(self._task, total=status.total_bytes or None, completed=done)

    def finish(self) -> None:
        """Fill the bar."""
        total = self._progress.tasks[self._task].total or 1
        self._progress.update(self._task, total=total, completed=total)


class Screen:
    """The terminal; plain lines where there is none."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)

    def step(self, title: str, command: str = "") -> None:
        """A step begins."""
        self._console.print(f"\n[bold]{escape(title)}[/]")
        if command:
            self._console.print(f"  [cyan]$ {escape(command)}[/]")

    def tell(self, text: str) -> None:
        """A line below the step."""
        self._console.print(f"  {escape(text)}", soft_wrap=True)

    def killed(self, text: str) -> None:
        """Something was killed."""
        self._console.print(f"  [bold red]SIGKILL[/] {escape(text)}")

    def failed(self, text: str) -> None:
        """The end, and why."""
        self._console.print(f"\n[bold red]The demonstration failed:[/] {escape(text)}")

    def removing(self, work: Path) -> None:
        """What goes, and how it would have stayed."""
        self._console.print(f"\nRemoving {escape(str(work))} (`make demo KEEP=1` keeps it, Web UI and all)")

    def kept(self, work: Path) -> None:
        """What is left, and how to look at it."""
        if work.exists():
            self._console.print(
                f"\nKept in {escape(str(work))}. The Web UI with its runs, until Ctrl-C:\n"
                f"  [cyan]HOLDFAST_STATE_DIR={escape(str(work / 'state'))} .venv/bin/holdfast up[/]",
                soft_wrap=True,
            )

    @contextlib.contextmanager
    def bar(self, name: str) -> Iterator[Bar]:
        """A progress bar, for as long as a command runs; other lines appear above it."""
        columns = (
            TextColumn("  {task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._console, disable=not self._console.is_terminal) as progress:
            yield Bar(progress, name)

    def summary(self, rows: Sequence[tuple[str, str]]) -> None:
        """The table at the end."""
        table = Table(title="What was seen", show_header=False, title_justify="left")
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in rows:
            table.add_row(escape(name), escape(value))
        self._console.print()
        self._console.print(table)


def size(count: int) -> str:
    """Bytes for people."""
    return format_bytes(count)
