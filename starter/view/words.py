"""The words for how far a run has come: counts, and how long it takes."""

from typing import TYPE_CHECKING

from holdfast.starter.view.meter import Reading
from holdfast.units import NS_PER_S, counted, format_bytes, format_clock

if TYPE_CHECKING:
    from holdfast.control.progress import RunView  # it brings Temporal's client


def one_line(view: "RunView", reading: Reading) -> str:
    """`[0:00:05] execute: 34.1%, 120/400 files, …`, and what it waits for."""
    head = f"[{duration(reading.elapsed_s)}] {view.phase.value}"
    waits = [f"waits: {view.wait.words}"] if view.wait is not None and view.wait.stands else []
    return f"{head}: {', '.join([f'{reading.fraction:.1%}', *counts(view, reading), *waits])}"


def counts(view: "RunView", reading: Reading) -> list[str]:
    """Files, bytes, rate, time left and errors, as far as they are known, and the limit that it keeps to."""
    progress = view.progress
    if progress is None:
        return ["no answer yet"]
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
        parts.append(counted(progress.errors, "error"))
    if view.wait is not None and not view.wait.stands:
        parts.append(view.wait.words)
    return parts


def duration(seconds: float) -> str:
    """3723 s -> "1:02:03"."""
    return format_clock(round(seconds * NS_PER_S))
