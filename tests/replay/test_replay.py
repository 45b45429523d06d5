"""Workflows replay the histories of runs that were made with them before, as a running one would after an upgrade.

`python -m tests.replay.record` and `python -m tests.replay.record_ends` record them.
"""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from holdfast.contracts import names
from holdfast.workflows.catalogue import WORKFLOWS, workflow_runner

HISTORIES: Final = sorted((Path(__file__).parent / "histories").glob("*.json"))
# an absolute path, a name of the source, a process id with its host
_OF_A_MACHINE: Final = re.compile(r"(?<![\w-])/\w|canary|\d@")


def history_of(text: str) -> WorkflowHistory:
    return WorkflowHistory.from_json(json.loads(text)["workflowId"], text)


async def replay(text: str) -> None:
    replayer = Replayer(workflows=WORKFLOWS, workflow_runner=workflow_runner())
    await replayer.replay_workflow(history_of(text))


@pytest.mark.parametrize("text", [pytest.param(path.read_text(), id=path.stem) for path in HISTORIES])
async def test_a_run_of_the_past_replays(text: str) -> None:
    await replay(text)


@pytest.mark.parametrize("activity", [names.STORE_SHARD, names.COMMIT_SNAPSHOT, names.CLOSE_RUN])
async def test_a_step_that_is_no_longer_taken_is_noticed(activity: str) -> None:
    text = next(path for path in HISTORIES if path.stem == "backup-1").read_text()
    changed = text.replace(f'"name": "{activity}"', '"name": "another"')
    assert changed != text
    with pytest.raises(NondeterminismError):
        await replay(changed)


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
def test_a_history_knows_nothing_of_the_machine(path: Path) -> None:
    history = json.loads(path.read_text())
    assert [text for text in strings(history) if _OF_A_MACHINE.search(text)] == []


def test_all_kinds_of_ends_are_among_them() -> None:
    ends = {json.loads(path.read_text())["events"][-1]["eventType"] for path in HISTORIES}
    assert ends == {
        "EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED",
        "EVENT_TYPE_WORKFLOW_EXECUTION_FAILED",
        "EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED",
        "EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW",
    }
    assert {path.stem.partition("-")[0] for path in HISTORIES} >= {
        "backup",
        "restore",
        "verify",
        "drill",
        "forget",
        "repair",
        "prune",
    }


def strings(value: Any) -> Iterator[str]:
    """Every text of a history, payloads decoded."""
    if isinstance(value, dict):
        if isinstance(value.get("data"), str):
            yield base64.b64decode(value["data"]).decode()
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, str):
        yield value
