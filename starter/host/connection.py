"""Commands connect to the Temporal server here, and there is one answer for whether it is there."""

import asyncio
import functools
import os
import socket
import time
from typing import Final

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflowservice.v1 import CountWorkflowExecutionsRequest, DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.service import RPCError, RPCStatusCode

from holdfast.errors import ServerUnavailableError
from holdfast.service.settings.model import ServerSettings
from holdfast.transport.client import Credentials, open_client, read_credentials

_ATTEMPT_S: Final = 5.0
_POLL_AGE_S: Final = 70.0
"""A worker that is there asks again at least once a minute."""


@functools.cache
def _quiet_runtime() -> Runtime:
    """The client's native part would write its retries to the terminal, into the progress display."""
    return Runtime(telemetry=TelemetryConfig(logging=None))


@functools.cache
def _credentials(server: ServerSettings) -> Credentials:
    return read_credentials(server, os.environ)


async def try_connect(server: ServerSettings, address: str) -> Client | None:
    """A client of the server there; None when nobody answers.

    Raises:
        ServerUnavailableError: a server does, and refuses.
        SettingsError: a certificate, API key or encryption key cannot be read.
    """
    credentials = await asyncio.to_thread(_credentials, server)
    try:
        async with asyncio.timeout(_ATTEMPT_S):
            client = await open_client(server, address, credentials, _quiet_runtime())
            await client.workflow_service.count_workflow_executions(
                CountWorkflowExecutionsRequest(namespace=server.namespace)
            )
    except (RuntimeError, TimeoutError):
        return None
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise ServerUnavailableError(
                f"the server at {address} has no namespace {server.namespace!r}",
                hint="Create it there, or correct server.namespace in holdfast.toml.",
            ) from None
        if error.status in {RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED}:
            raise ServerUnavailableError(
                f"the server at {address} refuses us: {error.message}",
                hint="Check api_key_file and the tls_… keys of [server] in holdfast.toml.",
            ) from None
        return None
    return client


async def connect(server: ServerSettings, address: str) -> Client:
    """A client of a configured server.

    Raises:
        ServerUnavailableError: nobody answers, or a server refuses.
        SettingsError: a certificate, API key or encryption key cannot be read.
    """
    client = await try_connect(server, address)
    if client is None:
        raise ServerUnavailableError(
            f"no Temporal server answers at {address}",
            hint="Start it, correct server.address in holdfast.toml, or remove that for the embedded server.",
        )
    return client


async def is_served_elsewhere(client: Client, queue: str) -> bool:
    """Whether a worker of another host asks for tasks of `queue`; this host's own services are known by notes."""
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    )
    answer = await client.workflow_service.describe_task_queue(request)
    return any(_is_elsewhere(poller) for poller in answer.pollers)


def _is_elsewhere(poller: PollerInfo) -> bool:
    """The server lists pollers for minutes after their end, so age decides. Identities are "pid@host"."""
    age_s = time.time() - poller.last_access_time.ToNanoseconds() / 1e9
    host = poller.identity.partition("@")[2]
    return age_s < _POLL_AGE_S and host != socket.gethostname()
