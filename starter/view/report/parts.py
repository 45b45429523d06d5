"""Parts of a report's page: tiles, tables, and how long a run took."""

from collections.abc import Sequence
from html import escape
from typing import Final

from holdfast.service.journal.records import RunRecord
from holdfast.terms import RunStatus
from holdfast.units import NS_PER_S, format_duration

TONES: Final = {
    RunStatus.COMPLETE: "good",
    RunStatus.PARTIAL: "warn",
    RunStatus.FAILED: "bad",
    RunStatus.CANCELLED: "plain",
    RunStatus.RUNNING: "plain",
}
"""The colour of each end, as a CSS class."""


def tile(name: str, value: str, more: str = "", *, tone: str = "") -> str:
    """One figure with its name, and a line below it."""
    below = f'<div class="more">{escape(more)}</div>' if more else ""
    return (
        f'<div class="tile {tone}"><div class="name">{escape(name)}</div>'
        f'<div class="value">{escape(value)}</div>{below}</div>'
    )


def listing(title: str, head: str, rows: Sequence[str], style: str, total: int) -> str:
    """A table in a section; nothing without rows. head: its first row. total: how many rows there are beside these."""
    if not rows:
        return ""
    more = f'<p class="lead">… and {total - len(rows):,} more</p>' if total > len(rows) else ""
    return (
        f'<section class="{style}"><h2>{escape(title)}</h2><div class="scroll"><table>{head}'
        f"{''.join(rows)}</table></div>{more}</section>"
    )


def took(run: RunRecord) -> str:
    """How long it took, in words."""
    if not run.ended_ns:
        return "under way"
    seconds = run.duration_ns / NS_PER_S
    return f"{seconds:.1f} s" if seconds < 60 else format_duration(run.duration_ns)
