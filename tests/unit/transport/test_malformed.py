"""Inputs that are none: each kind of run fails at once with a message, and leaves its id free.

Nothing is signed here: on a server of others, without keys, they come from anybody.
"""

import asyncio
import gc
import uuid
from pathlib import Path
from typing import Any, Final

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from holdfast.contracts.backup import BackupResult
from holdfast.contracts.cleanup import CLEANUP_WORKFLOW
from holdfast.contracts.common import BACKUP_WORKFLOW, RESTORE_WORKFLOW
from holdfast.contracts.notify import WATCHDOG_WORKFLOW
from holdfast.contracts.scheduled import SCHEDULED_RUN_WORKFLOW
from holdfast.contracts.verbs import (
    DRILL_WORKFLOW,
    FORGET_WORKFLOW,
    GUARD_WORKFLOW,
    PRUNE_WORKFLOW,
    REPAIR_WORKFLOW,
    SYSTEM_BACKUP_WORKFLOW,
    SYSTEM_RESTORE_WORKFLOW,
    VERIFY_WORKFLOW,
)
from holdfast.contracts.warrant import MALFORMED
from holdfast.contracts.watch import SOURCE_WATCH_WORKFLOW
from holdfast.terms import RunStatus
from holdfast.transport.client import protecting
from holdfast.workflows.catalogue import WORKFLOWS
from holdfast.workflows.registration import ensure_search_attributes
from tests.unit.transport.signed import REQUEST, workers
from tests.unit.workflows.scripted import ScriptedBackup

HUGE: Final = "x" * 1_500_000
BACKUP: Final = {"repository": "vault", "source": "home"}
RESTORE: Final = {"repository": "vault", "selection": "@" + "0" * 32}
SYSTEM: Final = {"system": "shop"}
WATCH: Final = {"request": BACKUP, "workflow_id": "backup:h:vault:home"}
SCHEDULED: Final = {"schedule": "nightly", "workflow_id": "backup:h:vault:home"}
GOOD: Final[dict[str, dict[str, Any]]] = {
    BACKUP_WORKFLOW: BACKUP,
    RESTORE_WORKFLOW: RESTORE,
    VERIFY_WORKFLOW: {"repository": "vault"},
    DRILL_WORKFLOW: {"repository": "vault"},
    GUARD_WORKFLOW: BACKUP,
    SYSTEM_BACKUP_WORKFLOW: SYSTEM,
    SYSTEM_RESTORE_WORKFLOW: SYSTEM,
    SOURCE_WATCH_WORKFLOW: WATCH,
    SCHEDULED_RUN_WORKFLOW: {**SCHEDULED, "backup": BACKUP},
    WATCHDOG_WORKFLOW: {},
    CLEANUP_WORKFLOW: {"repositories": []},
    FORGET_WORKFLOW: {"repository": "vault"},
    PRUNE_WORKFLOW: {"repository": "vault"},
    REPAIR_WORKFLOW: RESTORE,
}
NO_MESSAGE: Final = [None, 7, 1.5, True, "text", [], [1], HUGE]
POLICIES: Final[list[Any]] = [
    {"window": -1},
    {"window": 0},
    {"window": 10**9},
    {"window": "4"},
    {"window": None},
    {"heartbeat_timeout_s": 0},
    {"heartbeat_timeout_s": -5},
    {"heartbeat_timeout_s": 1e300},
    {"light_timeout_s": 10**400},
    {"max_attempts": -1},
    {"steps_per_history": -1},
    7,
    "fast",
    None,
]
WRONG: Final[list[tuple[str, Any]]] = [
    *((workflow, value) for workflow in GOOD for value in NO_MESSAGE),
    *((workflow, {}) for workflow in GOOD if workflow != WATCHDOG_WORKFLOW),
    *(
        (workflow, {**good, "policy": policy})
        for workflow, good in GOOD.items()
        if workflow not in {SOURCE_WATCH_WORKFLOW, SCHEDULED_RUN_WORKFLOW}
        for policy in POLICIES
    ),
    *((BACKUP_WORKFLOW, {**BACKUP, name: HUGE}) for name in ("repository", "source", "host", "parent")),
    *((BACKUP_WORKFLOW, {**BACKUP, name: ""}) for name in BACKUP),
    *((BACKUP_WORKFLOW, {**BACKUP, name: 7}) for name in (*BACKUP, "tags", "trigger", "progress")),
    (BACKUP_WORKFLOW, {**BACKUP, "strategy": "bogus"}),
    (BACKUP_WORKFLOW, {**BACKUP, "strategy": None}),
    (BACKUP_WORKFLOW, {**BACKUP, "verify": "hard"}),
    (BACKUP_WORKFLOW, {**BACKUP, "trigger": {"kind": "ghost"}}),
    (BACKUP_WORKFLOW, {**BACKUP, "tags": [HUGE]}),
    (BACKUP_WORKFLOW, {**BACKUP, "progress": {"run_id": "r"}}),
    (RESTORE_WORKFLOW, {**RESTORE, "selection": ""}),
    (GUARD_WORKFLOW, {**BACKUP, "source": HUGE[:5000]}),
    (SYSTEM_BACKUP_WORKFLOW, {"system": ""}),
    (SYSTEM_RESTORE_WORKFLOW, {**SYSTEM, "hosts": ["h"]}),
    (SYSTEM_RESTORE_WORKFLOW, {**SYSTEM, "as_of_ns": 10**30}),
    (SOURCE_WATCH_WORKFLOW, {**WATCH, "conditions": {"quiet_s": -1}}),
    (SOURCE_WATCH_WORKFLOW, {**WATCH, "request": {**BACKUP, "policy": {"window": -1}}}),
    (SOURCE_WATCH_WORKFLOW, {**WATCH, "workflow_id": HUGE}),
    (SCHEDULED_RUN_WORKFLOW, SCHEDULED),
    (SCHEDULED_RUN_WORKFLOW, {**SCHEDULED, "busy": "maybe"}),
]
BROKEN: Final = (b"", b"\xff", b"{", b"[" * 100_000, b'{"policy": {"window": NaN}}')
ENCODINGS: Final = (b"", b"unknown", b"binary/null", b"binary/plain", b"json/protobuf", b"holdfast/refused")
RAW: Final = [
    *(Payload(metadata={"encoding": b"json/plain"}, data=data) for data in BROKEN),
    *(Payload(metadata={"encoding": encoding}, data=b"{}") for encoding in ENCODINGS),
]


@pytest.fixture
async def client(server_address: str) -> Client:
    connected = await Client.connect(server_address, data_converter=protecting(None))
    await ensure_search_attributes(connected)
    return connected


@pytest.mark.parametrize("workflow", list(GOOD))
async def test_an_input_that_is_none_fails_the_run_at_once_with_a_message(
    client: Client, tmp_path: Path, workflow: str
) -> None:
    wrong = [value for name, value in WRONG if name == workflow] + [RawValue(payload) for payload in RAW]
    sandboxed = workflow == BACKUP_WORKFLOW  # its inputs are wrong in the most ways
    async with workers(client, ScriptedBackup(), tmp_path, sandboxed=sandboxed) as queue:

        async def end_of(value: object) -> str:
            handle = await client.start_workflow(
                workflow, value, id=f"wrong-{uuid.uuid4()}", task_queue=queue
            )
            with pytest.raises(WorkflowFailureError) as raised:
                await asyncio.wait_for(handle.result(), 60)
            cause = raised.value.cause
            assert isinstance(cause, ApplicationError), cause
            assert cause.type in {MALFORMED, "UntrustedError"}, (str(value)[:200], cause)
            return cause.message

        for number, value in enumerate(wrong):
            message = await end_of(value)
            assert 0 < len(message) < 500, (number, str(value)[:200])


async def test_every_kind_of_run_is_tried_here() -> None:
    assert len(GOOD) == len(WORKFLOWS)


@pytest.mark.filterwarnings(
    "ignore:.*was never awaited:RuntimeWarning"
)  # the SDK's, when a workflow has no input
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_the_id_is_free_for_the_next_run(client: Client, tmp_path: Path) -> None:
    """As it was seen: the source's own id stayed taken, and its backups were blocked."""
    workflow_id = f"backup:h:vault:{uuid.uuid4()}"
    async with workers(client, ScriptedBackup(), tmp_path) as queue:
        for arguments in ([{**BACKUP, "strategy": "bogus"}], [], [BACKUP, BACKUP]):
            handle = await client.start_workflow(
                BACKUP_WORKFLOW, args=arguments, id=workflow_id, task_queue=queue
            )
            with pytest.raises(WorkflowFailureError):
                await asyncio.wait_for(handle.result(), 60)
            assert (await handle.describe()).status is WorkflowExecutionStatus.FAILED
        gc.collect()
        good = await client.start_workflow(
            BACKUP_WORKFLOW, REQUEST, id=workflow_id, task_queue=queue, result_type=BackupResult
        )
        assert (await good.result()).status is RunStatus.COMPLETE
