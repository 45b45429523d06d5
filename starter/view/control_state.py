"""Tells what was asked of a run so far, to people and to programs."""

from holdfast.contracts.control import ControlState
from holdfast.workflows.details import control_notes


def lines(state: ControlState) -> list[str]:
    """What was asked of a run, for a terminal."""
    return [note.replace("**", "") for note in control_notes(state)]


def document(state: ControlState) -> dict[str, object]:
    """What was asked of a run, for programs."""
    return {
        "paused": state.pause is not None,
        "paused_ns": state.paused_ns,
        "pause_reason": "" if state.pause is None else state.pause.reason,
        "bytes_per_second": state.throttle.bytes_per_second,
        "windows": [
            {"start": window.start, "end": window.end, "bytes_per_second": window.bytes_per_second}
            for window in state.throttle.windows
        ],
        "priority": state.priority,
        "stands_aside_for": "" if state.stand is None else state.stand.what_for,
        "cancelled": state.cancel is not None,
    }
