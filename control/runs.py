"""Finds runs that are open on the server, starts them, asks them to stop, and waits for their results."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Protocol, TypeVar, cast

from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.converter import WorkflowSerializationContext
from temporalio.exceptions import ApplicationError, CancelledError, FailureError
from temporalio.service import RPCError, RPCStatusCode

import holdfast.errors
from holdfast.contracts import identity
from holdfast.contracts.control import RESUME, Asked
from holdfast.contracts.verbs import VERBS, Request, Result, asked_by, verb_of
from holdfast.contracts.warrant import ANSWER, RESULT, Warranted, purpose
from holdfast.control.known_paths import NO_PATHS, KnownPaths
from holdfast.errors import EndedOutsideError, HoldfastError, ServerUnavailableError, UntrustedError
from holdfast.terms import RunKind, RunStatus

Handle = WorkflowHandle[Any, Result]


class Ended(Protocol):
    """A result that says how its run ended."""

    @property
    def status(self) -> RunStatus:
        """How it ended."""


ResultT = TypeVar("ResultT")
EndedT = TypeVar("EndedT", bound=Ended)

RPC_TIMEOUT: Final = timedelta(seconds=10)
_PAUSE_S: Final = 0.5
_AWAY: Final = frozenset(
    (
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.UNKNOWN,
        RPCStatusCode.INTERNAL,
        RPCStatusCode.RESOURCE_EXHAUSTED,
    )
)


class RunCancelledError(HoldfastError):
    """The run was asked to stop, and has stopped."""

    exit_code = holdfast.errors.EXIT_INTERRUPTED


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRun:
    """A run that is open on the server. workflow_run: the id of its newest execution, first_run that of its first."""

    workflow_id: str
    workflow_run: str
    first_run: str
    kind: RunKind


def handle_of(client: Client, kind: RunKind, workflow_id: str) -> Handle:
    """The newest run of a workflow id."""
    return client.get_workflow_handle(workflow_id, result_type=verb_of(kind).result)


@contextlib.contextmanager
def server_errors() -> Iterator[None]:
    """Around calls to the server: what it answers in place of an answer, as one of our errors.

    Raises:
        ServerUnavailableError: it refuses, or is away for longer than a call may take.
        UntrustedError: it answers what no worker of ours has said.
    """
    try:
        yield
    except RPCError as error:
        raise ServerUnavailableError(
            f"the server does not answer as it should: {error.message or error.status.name.lower()}",
            hint="Repeat the command; `holdfast resume` goes on with a run that was begun.",
        ) from error
    except ApplicationError as refusal:
        raise unbelieved(refusal) from None


async def is_open(client: Client, workflow_id: str) -> bool:
    """Whether the server knows an open workflow of that id."""
    try:
        description = await client.get_workflow_handle(workflow_id).describe(rpc_timeout=RPC_TIMEOUT)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return description.status is WorkflowExecutionStatus.RUNNING


async def open_runs(client: Client) -> list[OpenRun]:
    """All our runs that are open on the server, newest first."""
    kinds = {verb.workflow: verb.kind for verb in VERBS if verb.reports}
    names = ", ".join(f"'{name}'" for name in kinds)
    query = f"ExecutionStatus = 'Running' AND WorkflowType IN ({names})"
    return [
        OpenRun(
            workflow_id=execution.id,
            workflow_run=execution.run_id,
            first_run=execution.raw_info.first_run_id or execution.run_id,
            kind=kinds[execution.workflow_type],
        )
        async for execution in client.list_workflows(query)
    ]


async def start(
    client: Client, request: Request, workflow_id: str, queue: str, *, called: str = ""
) -> Handle:
    """Start a run, or take the one of this id that is open already. called: what it is about, for the Web UI."""
    verb = asked_by(request)
    return await start_once(
        client,
        verb.workflow,
        request,
        cast("type[Result]", verb.result),  # a guard is started for its own result, in control/guard.py
        workflow_id=workflow_id,
        queue=queue,
        summary=f"{verb.kind.value} of {called or identity.parse_workflow_id(workflow_id).subject}",
    )


async def start_once(
    client: Client,
    workflow: str,
    request: object,
    result: type[ResultT],
    *,
    workflow_id: str,
    queue: str,
    summary: str,
) -> WorkflowHandle[Any, ResultT]:
    """Start a workflow, or take the one of this id that is open already."""
    return await client.start_workflow(
        workflow,
        request,
        id=workflow_id,
        task_queue=queue,
        result_type=result,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        static_summary=summary,
    )


async def request_of(client: Client, workflow_id: str, kind: RunKind) -> Request | None:
    """What the newest run of a workflow id was asked; None when the server does not know it."""
    wanted = verb_of(kind).request
    try:
        history = client.get_workflow_handle(workflow_id).fetch_history_events(page_size=1)
        async for event in history:
            started = event.workflow_execution_started_event_attributes
            place = WorkflowSerializationContext(namespace=client.namespace, workflow_id=workflow_id)
            converter = client.data_converter.with_context(place)
            values = await converter.decode(started.input.payloads, [wanted])
            return values[0] if values and isinstance(values[0], wanted) else None
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
    except ApplicationError:  # it was not asked by us, or not with a key that is here
        return None
    return None


async def ask_to_stop(handle: WorkflowHandle[Any, Any]) -> None:
    """Ask a run to stop; one that has ended already is fine."""
    try:
        await handle.cancel(rpc_timeout=RPC_TIMEOUT)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise


async def lift_pause(handle: Handle) -> None:
    """Let a paused run go on; by signal, which needs no worker yet, and which one that is not paused ignores."""
    await handle.signal(RESUME, Asked(), rpc_timeout=RPC_TIMEOUT)


async def result_of(
    handle: WorkflowHandle[Any, EndedT], on_away: Callable[[], None], known: KnownPaths = NO_PATHS
) -> EndedT:
    """Wait for the end of a run, however often the server is away until then. known: what its error may show.

    Raises:
        HoldfastError: the error that ended the run, as its activity raised it.
        RunCancelledError: it was asked to stop, and did.
    """
    run = ""
    while True:
        try:
            run = run or await first_run(handle)
            return _not_cancelled(of_run(await handle.result(), run))
        except WorkflowFailureError as failure:
            raise _error_of(failure, known) from None
        except ApplicationError as refusal:
            raise unbelieved(refusal) from None
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise _ended_outside("the server knows it no longer") from None
            if error.status not in _AWAY:
                raise
            on_away()
            await asyncio.sleep(_PAUSE_S)


async def first_run(handle: WorkflowHandle[Any, Any]) -> str:
    """The first run of the chain that the newest run of a workflow id belongs to."""
    description = await handle.describe(rpc_timeout=RPC_TIMEOUT)
    return description.raw_description.workflow_execution_info.first_run_id or description.run_id


def of_run(result: ResultT, run: str) -> ResultT:
    """A result, if it is of this run. Where nothing is signed it does not say so.

    Raises:
        UntrustedError: it is of another one.
    """
    warrant = result.warrant if isinstance(result, Warranted) else None
    if warrant is not None and (RESULT not in warrant.purposes or warrant.run != run):
        raise _not_this("that of another run")
    return result


def to_update(answer: ResultT, update_id: str) -> ResultT:
    """The answer to an update, if it is that; where nothing is signed it does not say so.

    Raises:
        UntrustedError: it is that to another one.
    """
    warrant = answer.warrant if isinstance(answer, Warranted) else None
    if warrant is not None and purpose(ANSWER, update_id) not in warrant.purposes:
        raise _not_this("that to another request")
    return answer


def _not_this(what: str) -> UntrustedError:
    return UntrustedError(
        f"the answer is not believed: it is {what}",
        hint="It was not given by one of your workers; see to who may reach the server.",
    )


def unbelieved(refusal: ApplicationError) -> HoldfastError:
    """What to say of an answer that was refused."""
    return UntrustedError(
        f"the answer is not believed: {refusal.message}",
        hint="It did not come from a worker with this installation's key; the log of the workers may say more.",
    )


def error_by_name(kind: str, message: str) -> HoldfastError:
    """The engine's error of that class name, so that its exit code counts here as well."""
    text, _, hint = message.partition("\n")
    found = getattr(holdfast.errors, kind, None)
    if isinstance(found, type) and issubclass(found, HoldfastError):
        return found(text, hint=hint)
    return HoldfastError(text, hint=hint)


def _not_cancelled(result: EndedT) -> EndedT:
    """A run that was cancelled by the update ends with a result that says so."""
    if result.status is RunStatus.CANCELLED:
        raise RunCancelledError("the run was stopped", hint="`holdfast resume` goes on with it.")
    return result


def _error_of(failure: WorkflowFailureError, known: KnownPaths) -> HoldfastError:
    cause = failure.cause
    if isinstance(cause, CancelledError):
        return RunCancelledError("the run was stopped", hint="`holdfast resume` goes on with it.")
    if isinstance(cause, ApplicationError):
        return error_by_name(cause.type or "", known.shown_in(cause.message))
    message = cause.message if isinstance(cause, FailureError) else str(cause)
    return _ended_outside(f"{message.lower()} on the server")


def _ended_outside(how: str) -> EndedOutsideError:
    return EndedOutsideError(
        f"the run was ended from outside: {how}",
        hint="`holdfast resume` goes on with it; docs/security.md says who can do that.",
    )
