"""Workers for workflow tests: a light and a copying one over scripted activities, and a replay of what they
did."""

import contextlib
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Protocol

from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Replayer, Worker

from holdfast.contracts.common import RunPolicy
from holdfast.contracts.identity import copy_queue
from holdfast.workflows.catalogue import WORKFLOWS, workflow_runner

FAST = RunPolicy(window=3, heartbeat_timeout_s=5, light_timeout_s=60, shard_timeout_s=60)


class Script(Protocol):
    """What a scripted engine offers to a worker."""

    def light(self) -> list[Callable[..., object]]: ...
    def copying(self) -> list[Callable[..., object]]: ...


@contextlib.asynccontextmanager
async def workers(
    client: Client, script: Script, *, cached_workflows: int = 100, queue: str = ""
) -> AsyncIterator[str]:
    """Two workers as in production; yields the queue, a new one unless it is given."""
    queue = queue or f"test.{uuid.uuid4()}"
    light = Worker(
        client,
        task_queue=queue,
        workflows=WORKFLOWS,
        activities=script.light(),
        workflow_runner=workflow_runner(),
        max_cached_workflows=cached_workflows,
        max_heartbeat_throttle_interval=timedelta(seconds=0.2),
    )
    copying = Worker(
        client,
        task_queue=copy_queue(queue),
        activities=script.copying(),
        max_heartbeat_throttle_interval=timedelta(seconds=0.2),
    )
    async with light, copying:
        yield queue


async def replay(client: Client, handle: WorkflowHandle[object, object]) -> list[str]:
    """Replay every history of the handle's chain; answers their run ids."""
    run_ids: list[str] = []
    async for run in client.list_workflows(f"WorkflowId = '{handle.id}'"):
        history = await client.get_workflow_handle(run.id, run_id=run.run_id).fetch_history()
        await Replayer(workflows=WORKFLOWS, workflow_runner=workflow_runner()).replay_workflow(history)
        run_ids.append(run.run_id)
    return run_ids
