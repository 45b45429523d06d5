"""The Markdown that the Web UI shows as a run's current details."""

from collections.abc import Iterable
from typing import Final

from holdfast.contracts.common import Phase, Progress, Verdict
from holdfast.contracts.control import NORMAL_PRIORITY, Asked, ControlState
from holdfast.contracts.waiting import WaitsFor
from holdfast.terms import RunStatus
from holdfast.units import NS_PER_S, counted, format_bytes, format_duration

_BAR_LENGTH: Final = 24


def render(progress: Progress, *, elapsed_ns: int, notes: Iterable[str] = ()) -> str:
    """Phase, a bar, and a list of counts, pace, errors and notes. No table: the Web UI draws no space in one."""
    done, total = progress.bytes_done, progress.bytes_total
    share = min(1.0, done / total) if total and progress.selection_complete else None
    head = f"**{_headline(progress)}** after {format_duration(elapsed_ns)}"
    if share is not None and progress.phase is not Phase.DONE:
        head += f"\n\n{_bar(share)} {share:.0%}"
    told = [
        _count("Files", f"{progress.files_done:,}", f"{progress.files_total:,}", progress),
        _count("Bytes", format_bytes(done), format_bytes(total), progress),
        _count("Shards", f"{progress.shards_done:,}", f"{progress.shards_total:,}", progress),
        _pace(progress),
        f"**{counted(progress.errors, 'error')}**" if progress.errors else "No errors",
        f"Snapshot: `{progress.snapshot_id[:8]}`" if progress.snapshot_id else "",
        *notes,
    ]
    return laid_out(head, told)


def laid_out(head: str, notes: Iterable[str]) -> str:
    """A heading, and below it a list of the notes that are not empty."""
    return "\n".join([head, "", *(f"- {_one_line(note)}" for note in notes if note)]).rstrip()


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _bar(share: float) -> str:
    full = round(share * _BAR_LENGTH)
    return f"`{'█' * full}{'░' * (_BAR_LENGTH - full)}`"


def _pace(progress: Progress) -> str:
    """The average without pauses, and the time that the rest takes at it; nothing before it is known."""
    if not progress.bytes_per_second or progress.paused:
        return ""
    seconds = progress.seconds_left
    is_open = progress.status is RunStatus.RUNNING and progress.phase is not Phase.DONE
    left = f", {format_duration(seconds * NS_PER_S)} left" if seconds and is_open else ""
    return f"Pace: {format_bytes(progress.bytes_per_second)}/s{left}"


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
    return [f"Verified ({verdict.level.value}): {'good' if verdict.ok else '**PROBLEMS**'}"]


def _by(asked: Asked) -> str:
    by = f" by {asked.by}" if asked.by else ""
    return f"{by} ({asked.reason})" if asked.reason else by


def _headline(progress: Progress) -> str:
    if progress.status is RunStatus.RUNNING:
        return progress.phase.value.capitalize()
    return f"{progress.phase.value.capitalize()}: {progress.status.value}"


def _count(name: str, done: str, total: str, progress: Progress) -> str:
    growing = "" if progress.selection_complete else "+"
    return f"{name}: {done} of {total}{growing}"
