"""Asking something of a run that is under way: by update, and by signal where no worker answers in time.

An update is refused or taken at once. A signal lies in the run's history until a worker is there, so it serves for a
run whose workers are away.
"""

import getpass
import uuid
from dataclasses import dataclass

from temporalio.client import (
    Client,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from contracts.control import CANCEL, CONTROL_QUERY, Asked, ControlState
from control import listing, runs
from holdfast.errors import UsageError
from holdfast.terms import RunKind
from starter.runs.conduct import find_client
from starter.shell.invocation import Invocation
from starter.shell.output import say, say_json
from workflows.control import REFUSED
from workflows.details import control_notes

STEERED = frozenset(
    (RunKind.BACKUP, RunKind.RESTORE, RunKind.VERIFY, RunKind.SYSTEM_BACKUP, RunKind.SYSTEM_RESTORE)
)
"""The kinds of runs of which something can be asked; the others can be cancelled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a run says to what was asked. state: None where no worker has answered yet."""

    run: listing.ListedRun
    state: ControlState | None


def asked(reason: str = "") -> Asked:
    """Who asks: the person at this command."""
    try:
        return Asked(by=getpass.getuser(), reason=reason)
    except (KeyError, OSError):
        return Asked(reason=reason)


async def steer(invocation: Invocation, name: str, what: str, message: object) -> Answer:
    """Ask something of the run that a person means.

    Raises:
        UsageError: no such run is under way, or it refuses.
        ServerUnavailableError: the server does not answer.
    """
    with runs.server_errors():
        client, run = await under_way(invocation, name)
        handle = runs.handle_of(client, run.kind, run.workflow_id)
        return Answer(run=run, state=await ask(handle, run, what, message))


async def under_way(invocation: Invocation, name: str) -> tuple[Client, listing.ListedRun]:
    """The run that a person means.

    Raises:
        UsageError: no such run is under way.
    """
    client = await find_client(invocation)
    run = listing.find_run(await listing.listed_runs(invocation.settings, client, 1000), name)
    if client is None or run.view is None:
        raise UsageError(
            f"run {run.short_id} is not under way: {run.status}", hint="`holdfast status` lists the runs."
        )
    return client, run


async def ask(handle: runs.Handle, run: listing.ListedRun, what: str, message: object) -> ControlState | None:
    """The run's state after it has taken what was asked; None when that awaits a worker.

    Raises:
        UsageError: it refuses.
    """
    if run.kind not in STEERED:
        raise UsageError(
            f"a run of the kind {run.kind.value} can only be cancelled", hint="`holdfast cancel` does that."
        )
    update_id = str(uuid.uuid4())
    try:
        state: ControlState = await handle.execute_update(
            what, message, id=update_id, result_type=ControlState, rpc_timeout=runs.RPC_TIMEOUT
        )
    except WorkflowUpdateFailedError as error:
        cause = error.cause
        text = cause.message if isinstance(cause, ApplicationError) else str(cause)
        if isinstance(cause, ApplicationError) and cause.type == REFUSED:
            raise UsageError(text, hint="`holdfast status RUN` shows how it stands.") from None
        raise UsageError(f"the run does not take this: {text}") from None
    except WorkflowUpdateRPCTimeoutOrCancelledError:
        await handle.signal(what, message, rpc_timeout=runs.RPC_TIMEOUT)
        return None
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        raise UsageError(f"run {run.short_id} has just ended") from None
    return runs.to_update(state, update_id)


async def cancel_run(handle: runs.Handle, run: listing.ListedRun, reason: str = "") -> None:
    """Ask a run to stop, by the update where it has one; one that is stopping or has ended is fine."""
    if run.kind not in STEERED:
        await runs.ask_to_stop(handle)
        return
    try:
        await ask(handle, run, CANCEL, asked(reason))
    except UsageError:
        await runs.ask_to_stop(handle)


async def state_of(handle: runs.Handle) -> ControlState | None:
    """What was asked of a run so far; None when no worker answers."""
    try:
        state: ControlState = await handle.query(
            CONTROL_QUERY, result_type=ControlState, rpc_timeout=runs.RPC_TIMEOUT
        )
    except Exception:  # noqa: BLE001 - what a query may raise is wide, and this is for display only
        return None
    return state


def words(state: ControlState) -> list[str]:
    """What was asked of a run, for a terminal."""
    return [note.replace("**", "") for note in control_notes(state)]


def tell(invocation: Invocation, answer: Answer, what: str) -> None:
    """Say what came of it."""
    run, state = answer.run, answer.state
    if invocation.options.json:
        say_json(
            {
                "message_type": "control",
                "run_id": run.run_id,
                "workflow_id": run.workflow_id,
                "taken": state is not None,
                **({} if state is None else document(state)),
            }
        )
    elif not invocation.options.quiet:
        later = "" if state is not None else ", once one of its workers is there"
        say(f"run {run.short_id} {what}{later}")
        for line in [] if state is None else words(state):
            say(f"  {line}")


def document(state: ControlState) -> dict[str, object]:
    """The state for programs."""
    return {
        "paused": state.pause is not None,
        "paused_ns": state.paused_ns,
        "pause_reason": "" if state.pause is None else state.pause.reason,
        "bytes_per_second": state.throttle.bytes_per_second,
        "windows": [
            {"start": window.start, "end": window.end, "bytes_per_second": window.bytes_per_second}
            for window in state.throttle.windows
        ],
        "priority": state.priority,
        "cancelled": state.cancel is not None,
    }
