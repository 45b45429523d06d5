"""An installation with a key: its clients, and its workers over scripted activities."""

import contextlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import cast

from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, Worker

from holdfast.activities.trust import AdmissionActivities, TrustedCalls
from holdfast.contracts.backup import BackupRequest, BackupResult
from holdfast.contracts.common import BACKUP_WORKFLOW
from holdfast.contracts.identity import copy_queue
from holdfast.service.settings.admission import Admissions
from holdfast.transport.client import protecting
from holdfast.transport.codec import Protection, TrustCodec
from holdfast.transport.keyring import Keyring, new_key_line
from holdfast.transport.sealing import Sealer
from holdfast.transport.signing import Signer
from holdfast.transport.stamping import Stamping
from holdfast.workflows.catalogue import INPUT_ERRORS, WORKFLOWS, workflow_runner
from holdfast.workflows.trust import Trust
from tests.unit.workflows.running import FAST, Script

REQUEST = BackupRequest(repository="vault", source="home", policy=FAST)
Handle = WorkflowHandle[object, BackupResult]


@dataclass(frozen=True, kw_only=True)
class Keys:
    seals: bool = False
    accept_unsigned: bool = False

    @cached_property
    def protection(self) -> Protection:
        text = new_key_line("one").encode()
        return Sealer(keyring=Keyring.parse(text)) if self.seals else Signer.parse(text)

    @cached_property
    def codec(self) -> TrustCodec:
        return TrustCodec(
            protection=self.protection, namespace="default", accept_unsigned=self.accept_unsigned
        )

    async def client(self, address: str) -> Client:
        return await Client.connect(address, data_converter=protecting(self.codec), interceptors=[Stamping()])


def is_enforced(client: Client) -> bool:
    codec = client.data_converter.payload_codec
    return isinstance(codec, TrustCodec) and not codec.accept_unsigned


@contextlib.asynccontextmanager
async def workflow_worker(
    client: Client,
    script: Script,
    state_dir: Path,
    *,
    queue: str = "",
    cached_workflows: int = 100,
    sandboxed: bool = False,
) -> AsyncIterator[str]:
    """The worker of workflows and light activities, as worker.py composes it.

    sandboxed: with the sandbox, which loads all modules of workflows again for each run: most of what these tests would
    take, and nothing to whether a value is believed.
    """
    queue = queue or f"test.{uuid.uuid4()}"
    enforced = is_enforced(client)
    admission = AdmissionActivities(Admissions(state_dir), lambda name, _starts: name.startswith("declared"))
    async with Worker(
        client,
        task_queue=queue,
        workflows=WORKFLOWS,
        activities=[*admission.light(), *script.light()],
        workflow_runner=workflow_runner() if sandboxed else UnsandboxedWorkflowRunner(),
        workflow_failure_exception_types=INPUT_ERRORS,
        max_cached_workflows=cached_workflows,
        max_heartbeat_throttle_interval=timedelta(seconds=0.2),
        interceptors=[Trust(enforced=enforced), TrustedCalls(enforced=enforced)],
    ):
        yield queue


@contextlib.asynccontextmanager
async def workers(
    client: Client,
    script: Script,
    state_dir: Path,
    *,
    queue: str = "",
    cached_workflows: int = 100,
    sandboxed: bool = False,
) -> AsyncIterator[str]:
    """Both workers of an installation; yields the queue."""
    async with (
        workflow_worker(
            client, script, state_dir, queue=queue, cached_workflows=cached_workflows, sandboxed=sandboxed
        ) as used,
        Worker(
            client,
            task_queue=copy_queue(used),
            activities=script.copying(),
            max_heartbeat_throttle_interval=timedelta(seconds=0.2),
            interceptors=[TrustedCalls(enforced=is_enforced(client))],
        ),
    ):
        yield used


async def start(client: Client, queue: str, workflow_id: str = "", request: object = REQUEST) -> Handle:
    handle = await client.start_workflow(
        BACKUP_WORKFLOW,
        request,
        id=workflow_id or f"backup-{uuid.uuid4()}",
        task_queue=queue,
        result_type=BackupResult,
    )
    return cast("Handle", handle)


async def replay(client: Client, handle: WorkflowHandle[object, object]) -> None:
    """Replay every history of the handle's chain, as a worker would after a restart."""
    replayer = Replayer(
        namespace="default",
        workflows=WORKFLOWS,
        workflow_runner=workflow_runner(),
        data_converter=client.data_converter,
        interceptors=[Trust(enforced=True)],
    )
    async for run in client.list_workflows(f"WorkflowId = '{handle.id}'"):
        history = await client.get_workflow_handle(run.id, run_id=run.run_id).fetch_history()
        await replayer.replay_workflow(history)


async def input_of(client: Client, workflow_id: str, run_id: str | None = None) -> Payload:
    """What a run was started with, as everybody sees it."""
    history = await client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history()
    [payload] = history.events[0].workflow_execution_started_event_attributes.input.payloads
    return payload
