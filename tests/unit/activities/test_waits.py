"""What a run waits for is said by one word, whichever of its signs is seen."""

import time
from dataclasses import replace
from typing import Final

import pytest
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse

from holdfast.activities.waits import FailingStep, wait_in
from holdfast.contracts.common import Phase, Progress
from holdfast.contracts.control import Throttle, ThrottleWindow
from holdfast.contracts.waiting import WaitsFor
from holdfast.service.waits import Wait

RUN: Final = Progress(run_id="r", phase=Phase.EXECUTE)
MIB: Final = 1 << 20


def described(
    *, state: PendingActivityState.ValueType | None = None, age_s: float = 0
) -> DescribeWorkflowExecutionResponse:
    """A run with one step in that state, which was scheduled so long ago."""
    raw = DescribeWorkflowExecutionResponse()
    raw.execution_config.task_queue.name = "holdfast.mars"
    if state is not None:
        raw.pending_activities.add(state=state).scheduled_time.FromNanoseconds(
            time.time_ns() - round(age_s * 10**9)
        )
    return raw


def seen(
    raw: DescribeWorkflowExecutionResponse,
    step: FailingStep | None = None,
    progress: Progress | None = RUN,
    *,
    paused: bool = False,
) -> Wait | None:
    return wait_in(raw, step, progress, paused=paused, answered=progress is not None)


@pytest.mark.parametrize(
    ("error", "what"),
    [
        ("StorageFullError", WaitsFor.FULL_DISK),
        ("StorageUnavailableError", WaitsFor.STORAGE_AWAY),
        ("RepositoryLockedError", WaitsFor.LOCK),
        ("OSError", WaitsFor.ERROR),
    ],
)
def test_a_step_that_fails_says_so_by_its_error(error: str, what: WaitsFor) -> None:
    step = FailingStep(kind=error, message="it is so\nDo that.", attempt=1_200)
    wait = seen(described(), step)
    assert wait == Wait(what=what, detail="it is so", next_step="Do that.", attempts=1_200)
    assert wait.stands
    assert wait.words == f"{what.words}: it is so (tried 1,200 times)"
    assert "-" not in what.words


def test_a_pause_says_who_asked_for_it_where_a_worker_answers() -> None:
    asked = replace(RUN, paused=True, waits_for="by anna (the line)", waits_kind=WaitsFor.PAUSED)
    for progress, words in ((asked, "paused: by anna (the line)"), (None, "paused")):
        wait = seen(described(), progress=progress, paused=True)
        assert wait is not None
        assert wait.words == words


def test_a_run_whose_work_nobody_takes_up_waits_for_a_worker() -> None:
    scheduled = PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
    started = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
    assert seen(described(state=scheduled, age_s=1)) is None
    assert seen(described(state=started, age_s=900)) is None
    untaken = seen(described(state=scheduled, age_s=900))
    assert untaken is not None
    assert untaken.what is WaitsFor.NO_WORKER
    raw = described()
    raw.pending_workflow_task.original_scheduled_time.FromNanoseconds(time.time_ns())
    assert seen(raw, progress=None) is None, "it may be taken up at this moment"
    raw.pending_workflow_task.original_scheduled_time.FromNanoseconds(time.time_ns() - 20 * 10**9)
    unanswered = seen(raw, progress=None)
    assert unanswered is not None
    assert unanswered.words == "no worker: none serves the queue holdfast.mars"
    assert seen(raw) is None


def test_a_run_says_itself_what_it_waits_for_and_its_throttle_last() -> None:
    window = ThrottleWindow(start="22:00", end="06:00")
    throttled = replace(RUN, throttle=Throttle(bytes_per_second=5 * MIB, windows=(window,)))
    wait = seen(described(), progress=throttled)
    assert wait is not None
    assert (wait.stands, wait.words) == (False, "throttle: 5.0 MiB/s; 22:00 to 06:00: no limit")
    asks = replace(throttled, waits_for="3 packs go", waits_kind=WaitsFor.APPROVAL)
    wait = seen(described(), progress=asks)
    assert wait is not None
    assert (wait.stands, wait.words) == (True, "approval: 3 packs go")
    assert seen(described()) is None
