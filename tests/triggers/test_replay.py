"""What starts runs replays the histories of its own past, as it would after an upgrade."""

import json
from typing import Final

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from holdfast.workflows.catalogue import WORKFLOWS, workflow_runner
from tests.triggers.record import HISTORIES

PATHS: Final = sorted(HISTORIES.glob("*.json"))


@pytest.mark.parametrize("text", [pytest.param(path.read_text(), id=path.stem) for path in PATHS])
async def test_a_run_of_the_past_replays(text: str) -> None:
    replayer = Replayer(workflows=WORKFLOWS, workflow_runner=workflow_runner())
    await replayer.replay_workflow(WorkflowHistory.from_json(json.loads(text)["workflowId"], text))


def test_every_kind_is_among_them() -> None:
    assert {path.stem for path in PATHS} == {"guard", "scheduled", "scheduled-system", "watch"}
