"""The Markdown that the Web UI shows as a run's current details."""

from collections.abc import Iterable

from holdfast.contracts.common import Progress, Verdict
from holdfast.contracts.control import NORMAL_PRIORITY, Asked, ControlState
from holdfast.contracts.waiting import WaitsFor
from holdfast.terms import RunStatus
from holdfast.units import NS_PER_S, counted, format_bytes, format_duration


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
        f"{format_rate(progress.bytes_done, elapsed_ns)} · {counted(progress.errors, 'error')}",
    ]
    if progress.snapshot_id:
        lines.append(f"\nSnapshot `{progress.snapshot_id[:8]}`")
    lines.extend(f"\n{note}" for note in notes if note)
    return "\n".join(lines)


def pace_of(elapsed_ns: int, *, done: int, total: int | None) -> tuple[int, int | None]:
    """Bytes per second in that time, and the seconds that the rest takes at that rate, where both are known."""
    if elapsed_ns < NS_PER_S:
        return 0, None
    rate = done * NS_PER_S // elapsed_ns
    if total is None or not rate:
        return rate, None
    return rate, max(0, total - done) // rate


def waits_of(state: ControlState) -> tuple[str, WaitsFor | None]:
    """What a run waits for by what was asked of it, in words and in one; ("", None) where it may go on."""
    if state.pause is not None:
        return _by(state.pause).strip() or "by a person", WaitsFor.PAUSED
    if state.stand is not None:
        return state.stand.what_for, WaitsFor.STANDS_ASIDE
    return "", None


def control_notes(state: ControlState) -> list[str]:
    """Say in words what was asked of the run."""
    notes: list[str] = []
    if state.pause is not None:
        notes.append(f"**Paused**{_by(state.pause)}: nothing is read or written until `resume`")
    if state.stand is not None:
        notes.append(f"**Stands aside** for {state.stand.what_for}: it goes on by itself")
    if state.throttle.limits:
        notes.append(f"**Throttle**: {state.throttle.words(format_bytes)}")
    if state.priority != NORMAL_PRIORITY:
        notes.append(f"Priority: {state.priority}")
    if state.cancel is not None:
        notes.append(f"Cancelled{_by(state.cancel)}")
    return notes


def verdict_notes(verdict: Verdict | None) -> list[str]:
    """Say what the last step found, if it was taken."""
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


def format_rate(count: int, elapsed_ns: int) -> str:
    """Bytes per second over the whole run; none before a second has passed."""
    if elapsed_ns < NS_PER_S:
        return "rate not known yet"
    return f"{format_bytes(count * NS_PER_S // elapsed_ns)}/s"
