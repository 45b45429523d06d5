"""The Markdown of a run's current details."""

from dataclasses import replace

import pytest

from holdfast.contracts.common import Phase, Progress
from holdfast.terms import RunStatus
from holdfast.units import format_bytes, format_duration
from holdfast.workflows.details import render

SECOND_NS = 10**9


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 << 30, "3.0 GiB"), (1 << 60, "1,024.0 PiB")],
)
def test_bytes(count: int, text: str) -> None:
    assert format_bytes(count) == text


def test_duration() -> None:
    assert format_duration(3723 * SECOND_NS + 5) == "1:02:03"
    assert format_duration(-1) == "0 ms"


def test_totals_are_marked_as_growing_until_the_selection_is_complete() -> None:
    progress = Progress(
        run_id="r",
        phase=Phase.SELECT,
        files_total=1200,
        bytes_total=2048,
        bytes_done=1024,
        bytes_per_second=512,
    )
    text = render(progress, elapsed_ns=2 * SECOND_NS, notes=("Strategy: full", ""))
    assert text.startswith("**Select** after 0:00:02\n")
    assert "\n- Files: 0 of 1,200+\n" in text
    assert "\n- Bytes: 1.0 KiB of 2.0 KiB+\n" in text
    assert text.endswith("\n- Pace: 512 B/s\n- No errors\n- Strategy: full")


def test_the_end_names_status_and_snapshot() -> None:
    progress = Progress(
        run_id="r",
        phase=Phase.DONE,
        status=RunStatus.PARTIAL,
        selection_complete=True,
        errors=3,
        snapshot_id="ab" * 32,
    )
    text = render(progress, elapsed_ns=0)
    assert text.startswith("**Done: partial**")
    assert "3 errors" in text
    assert "Snapshot: `abababab`" in text


def test_a_run_under_way_has_a_bar_and_the_time_that_is_left() -> None:
    progress = Progress(
        run_id="r",
        phase=Phase.EXECUTE,
        selection_complete=True,
        bytes_total=400,
        bytes_done=100,
        bytes_per_second=100,
        seconds_left=3,
    )
    text = render(progress, elapsed_ns=SECOND_NS, notes=("on\ntwo lines",))
    assert "\n`██████░░░░░░░░░░░░░░░░░░` 25%\n" in text
    assert "- Pace: 100 B/s, 0:00:03 left\n" in text
    assert text.endswith("- on two lines")
    assert "Pace" not in render(replace(progress, paused=True), elapsed_ns=SECOND_NS)
