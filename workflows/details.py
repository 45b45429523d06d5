"""The Markdown that the Web UI shows as a run's current details."""

from collections.abc import Iterable
from typing import Final

from contracts.common import Progress, Verdict
from contracts.control import NORMAL_PRIORITY, Asked, ControlState
from holdfast.terms import RunStatus

_NS_PER_S: Final = 10**9
_BYTES_PER_STEP: Final = 1024
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def render(progress: Progress, *, elapsed_ns: int, notes: Iterable[str] = ()) -> str:
    """Phase, table of counts, rate, and one line per note."""
    lines = [
        f"**{_headline(progress)}** after {format_duration(elapsed_ns)}",
        "",
        "| | done | total |",
        "|---|---:|---:|",
        _row("Files", f"{progress.files_done:,}", f"{progress.files_total:,}", progress),
        _row("Bytes", format_bytes(progress.bytes_done), format_bytes(progress.bytes_total), progress),
        _row("Shards", f"{progress.shards_done:,}", f"{progress.shards_total:,}", progress),
        "",
        f"{format_rate(progress.bytes_done, elapsed_ns)} · {progress.errors:,} errors",
    ]
    if progress.snapshot_id:
        lines.append(f"\nSnapshot `{progress.snapshot_id[:8]}`")
    lines.extend(f"\n{note}" for note in notes if note)
    return "\n".join(lines)


def pace_of(elapsed_ns: int, *, done: int, total: int | None) -> tuple[int, int | None]:
    """Bytes per second in that time, and the seconds that the rest takes at that rate, where both are known."""
    if elapsed_ns < _NS_PER_S:
        return 0, None
    rate = done * _NS_PER_S // elapsed_ns
    if total is None or not rate:
        return rate, None
    return rate, max(0, total - done) // rate


def control_notes(state: ControlState) -> list[str]:
    """What was asked of the run, in words."""
    notes: list[str] = []
    if state.pause is not None:
        notes.append(f"**Paused**{_by(state.pause)}: nothing is read or written until `resume`")
    if state.throttle.limits:
        rate = state.throttle.bytes_per_second
        limit = f"{format_bytes(rate)}/s" if rate else "none"
        windows = [
            f"{w.start} to {w.end}: {format_bytes(w.bytes_per_second)}/s"
            if w.bytes_per_second
            else f"{w.start} to {w.end}: no limit"
            for w in state.throttle.windows
        ]
        notes.append("Throttle: " + "; ".join([limit, *windows]))
    if state.priority != NORMAL_PRIORITY:
        notes.append(f"Priority: {state.priority}")
    if state.cancel is not None:
        notes.append(f"Cancelled{_by(state.cancel)}")
    return notes


def verdict_notes(verdict: Verdict | None) -> list[str]:
    """What the last step found, if it was taken."""
    if verdict is None:
        return []
    return [f"Verified ({verdict.level.value}): {'good' if verdict.ok else 'PROBLEMS'}"]


def _by(asked: Asked) -> str:
    by = f" by {asked.by}" if asked.by else ""
    return f"{by} ({asked.reason})" if asked.reason else by


def _headline(progress: Progress) -> str:
    if progress.status is RunStatus.RUNNING:
        return progress.phase.value.capitalize()
    return f"{progress.phase.value.capitalize()}: {progress.status.value}"


def _row(name: str, done: str, total: str, progress: Progress) -> str:
    growing = "" if progress.selection_complete else "+"
    return f"| {name} | {done} | {total}{growing} |"


def format_bytes(count: int) -> str:
    """1536 -> "1.5 KiB"."""
    if count < _BYTES_PER_STEP:
        return f"{count} B"
    value = float(count)
    for unit in _UNITS[1:]:
        value /= _BYTES_PER_STEP
        if value < _BYTES_PER_STEP:
            return f"{value:.1f} {unit}"
    return f"{value:,.1f} {_UNITS[-1]}"


def format_rate(count: int, elapsed_ns: int) -> str:
    """Bytes per second over the whole run; none before a second has passed."""
    if elapsed_ns < _NS_PER_S:
        return "rate not known yet"
    return f"{format_bytes(count * _NS_PER_S // elapsed_ns)}/s"


def format_duration(elapsed_ns: int) -> str:
    """3723 s -> "1:02:03"."""
    minutes, seconds = divmod(max(0, elapsed_ns) // _NS_PER_S, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
