"""What another user of the host tries: a program of its own, with Temporal's stock client and nothing of ours.

    attacker.py ADDRESS QUEUE       then, on its standard input, lines of JSON: [ATTACK, PARAMETERS]

Each attack prints one line of JSON: what it was answered. Whether it worked is not for it to say: the test looks at
what should have been left alone.
"""

import asyncio
import contextlib
import json
import os
import sys
import uuid
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import (
    ResetWorkflowExecutionRequest,
    RespondActivityTaskCompletedByIdRequest,
)
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RawValue, RetryPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

SHORT = timedelta(seconds=20)
LIE = "f" * 64


@workflow.defn(name="Mallory")
class Mallory:
    """Has root's workers run one activity."""

    @workflow.run
    async def run(self, order: dict[str, Any]) -> Any:
        return await workflow.execute_activity(
            order["type"],
            order["input"],
            task_queue=order["queue"],
            start_to_close_timeout=SHORT,
            schedule_to_close_timeout=SHORT,
            retry_policy=RetryPolicy(maximum_attempts=1),
        )


async def activity_of_my_own(client: Client, queue: str, wanted: dict[str, Any]) -> str:
    """An activity that a workflow of my own asks root's workers for. id: of my workflow, when a name is to be borne."""
    mine = f"mallory-{uuid.uuid4()}"
    async with Worker(
        client, task_queue=mine, workflows=[Mallory], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        order = {"type": wanted["type"], "input": wanted["input"], "queue": queue}
        return await answered(
            client.execute_workflow(
                "Mallory", order, id=wanted.get("id", mine), task_queue=mine, execution_timeout=SHORT
            )
        )


async def start(client: Client, queue: str, wanted: dict[str, Any]) -> str:
    """A workflow on root's queue."""
    return await answered(
        client.execute_workflow(
            wanted["type"],
            wanted["input"],
            id=wanted.get("id", f"mallory-{uuid.uuid4()}"),
            task_queue=queue,
            execution_timeout=timedelta(seconds=wanted.get("seconds", 20)),
        )
    )


async def input_of(client: Client, workflow_id: str) -> list[Any]:
    """What the newest run of that id was started with, as everybody may read it."""
    async for event in client.get_workflow_handle(workflow_id).fetch_history_events(page_size=1):
        return list(event.workflow_execution_started_event_attributes.input.payloads)
    return []


async def replay(client: Client, queue: str, wanted: dict[str, Any]) -> str:
    """The start of a run that is over, byte for byte, under its own id."""
    payloads = await input_of(client, wanted["id"])
    return await answered(
        client.execute_workflow(
            wanted["type"],
            args=[RawValue(payload) for payload in payloads],
            id=wanted["id"],
            task_queue=queue,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            execution_timeout=SHORT,
        )
    )


async def reset(client: Client, _queue: str, wanted: dict[str, Any]) -> str:
    """The newest run of that id again, from the start and from its middle; then it is ended."""
    history = await client.get_workflow_handle(wanted["id"]).fetch_history()
    tasks = [
        event.event_id
        for event in history.events
        if event.HasField("workflow_task_completed_event_attributes")
    ]
    said = []
    for event_id in (tasks[0], tasks[len(tasks) // 2]):
        request = ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=wanted["id"], run_id=history.run_id),
            reason="mallory",
            workflow_task_finish_event_id=event_id,
            request_id=str(uuid.uuid4()),
        )
        begun = await client.workflow_service.reset_workflow_execution(request)
        again = client.get_workflow_handle(wanted["id"], run_id=begun.run_id)
        said.append(await answered(asyncio.wait_for(again.result(), 5)))
    await answered(client.get_workflow_handle(wanted["id"]).terminate("mallory"))
    return " ".join(said)


async def inputs(client: Client, _queue: str, wanted: dict[str, Any]) -> str:
    """What a run was asked, in the clear."""
    return b"".join(payload.data for payload in await input_of(client, wanted["id"])).decode(errors="replace")


async def first_run(client: Client, _queue: str, wanted: dict[str, Any]) -> str:
    """The first run id of a workflow's chain: with its id, the name of the run."""
    async for event in client.get_workflow_handle(wanted["id"]).fetch_history_events(page_size=1):
        return str(event.workflow_execution_started_event_attributes.first_execution_run_id)
    return ""


async def find(client: Client, _queue: str, wanted: dict[str, Any]) -> str:
    """The ids of workflows of a type."""
    return " ".join([one.id async for one in client.list_workflows(f"WorkflowType = '{wanted['type']}'")])


async def signal(client: Client, _queue: str, wanted: dict[str, Any]) -> str:
    return await answered(client.get_workflow_handle(wanted["id"]).signal(wanted["name"], wanted["input"]))


async def update(client: Client, _queue: str, wanted: dict[str, Any]) -> str:
    handle = client.get_workflow_handle(wanted["id"])
    return await answered(asyncio.wait_for(handle.execute_update(wanted["name"], wanted["input"]), 20))


async def query(client: Client, _queue: str, wanted: dict[str, Any]) -> str:
    return await answered(client.get_workflow_handle(wanted["id"]).query(wanted["name"]))


async def terminate(client: Client, _queue: str, wanted: dict[str, Any]) -> str:
    return await answered(client.get_workflow_handle(wanted["id"]).terminate("mallory"))


async def heartbeat(client: Client, _queue: str, wanted: dict[str, Any]) -> str:
    """Progress of an activity that another carries out."""
    described = await client.get_workflow_handle(wanted["id"]).describe()
    told = []
    for one in described.raw_description.pending_activities:
        handle = client.get_async_activity_handle(
            workflow_id=wanted["id"], run_id=described.run_id, activity_id=one.activity_id
        )
        told.append(await answered(handle.heartbeat(wanted["input"])))
    return " ".join(told) or "nothing is pending"


async def complete(client: Client, _queue: str, wanted: dict[str, Any]) -> str:
    """An activity of a living run, answered with a lie by its id."""
    described = await client.get_workflow_handle(wanted["id"]).describe()
    pending = described.raw_description.pending_activities
    told = []
    for one in pending:
        encoded = await client.data_converter.encode([wanted["input"]])
        request = RespondActivityTaskCompletedByIdRequest(
            namespace=client.namespace,
            workflow_id=wanted["id"],
            run_id=described.run_id,
            activity_id=one.activity_id,
        )
        request.result.payloads.extend(encoded)
        told.append(await answered(client.workflow_service.respond_activity_task_completed_by_id(request)))
    return " ".join(told) or "nothing is pending"


@workflow.defn(name="Backup")
class FalseBackup:
    """Says that all is well."""

    @workflow.run
    async def run(self, request: Any) -> dict[str, Any]:
        info = workflow.info()
        return {
            "run_id": f"{info.workflow_id}/{info.first_execution_run_id}",
            "status": "complete",
            "snapshot_id": LIE,
            "started_ns": workflow.time_ns(),
            "ended_ns": workflow.time_ns(),
            "verdict": {"level": "structure", "ok": True},
        }


async def false_worker(client: Client, queue: str, wanted: dict[str, Any]) -> str:
    """Poll root's queue beside root's workers, as often as the server allows, and answer with lies."""
    tell("polling")
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(wanted["workers"]):
            other = await Client.connect(client.service_client.config.target_host)
            await stack.enter_async_context(
                Worker(
                    other,
                    task_queue=queue,
                    workflows=[FalseBackup],
                    workflow_runner=UnsandboxedWorkflowRunner(),
                    max_concurrent_workflow_task_polls=20,
                    build_id="mallory",
                )
            )
        await asyncio.to_thread(sys.stdin.read)
    return "polled"


async def false_activities(client: Client, queue: str, wanted: dict[str, Any]) -> str:
    """Poll root's queue for activities, and answer those of one type with a lie."""

    @activity.defn(dynamic=True)
    async def lie(*_: Any) -> Any:
        kind = activity.info().activity_type
        return wanted["answers"].get(kind)

    tell("polling")
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(wanted["workers"]):
            other = await Client.connect(client.service_client.config.target_host)
            await stack.enter_async_context(
                Worker(
                    other,
                    task_queue=queue,
                    activities=[lie],
                    build_id="mallory",
                    max_concurrent_activity_task_polls=20,
                )
            )
        await asyncio.to_thread(sys.stdin.read)
    return "polled"


async def answered(call: Any) -> str:
    """What the server, or root's worker, said."""
    try:
        answer = await call
    except WorkflowFailureError as error:
        cause: BaseException = error
        while cause.__cause__ is not None or getattr(cause, "cause", None) is not None:
            cause = getattr(cause, "cause", None) or cause.__cause__  # type: ignore[assignment]
        return f"failed: {type(cause).__name__}: {cause}"
    except (RPCError, TimeoutError, RuntimeError, ValueError) as error:
        return f"refused: {type(error).__name__}: {error}"
    except Exception as error:  # noqa: BLE001 - whatever it is, it is an answer
        return f"refused: {type(error).__name__}: {error}: {error.__cause__}"
    return f"done: {answer!r}"


def tell(line: str) -> None:
    """To the test."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


ATTACKS = {
    function.__name__: function
    for function in (
        activity_of_my_own,
        start,
        replay,
        reset,
        inputs,
        find,
        signal,
        update,
        query,
        terminate,
        complete,
        first_run,
        heartbeat,
        false_worker,
        false_activities,
    )
}


async def main() -> None:
    """Attacks as they come, one a line; one that polls does so until the input ends."""
    address, queue = sys.argv[1:]
    client = await Client.connect(address)
    while line := await asyncio.to_thread(sys.stdin.readline):
        name, parameters = json.loads(line)
        tell(json.dumps(await ATTACKS[name](client, queue, parameters)))


if __name__ == "__main__":
    asyncio.run(main())
    os._exit(0)  # the client's native threads do not always outlive an orderly end
