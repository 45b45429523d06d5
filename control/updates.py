"""Asks something of a run that is under way: by update, and by signal where no worker answers in time.

An update is refused or taken at once. A signal lies in the run's history until a worker is there, so it serves for a
run whose workers are away.
"""

import uuid
from dataclasses import dataclass

from temporalio.client import (
    Client,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from holdfast.contracts.control import CANCEL, CONTROL_QUERY, REFUSED, Asked, ControlState
from holdfast.contracts.verbs import verb_of
from holdfast.control import runs
from holdfast.control.listing import ListedRun
from holdfast.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a run says to what was asked. state: None where no worker has answered yet."""

    run: ListedRun
    state: ControlState | None


def not_under_way(run: ListedRun) -> UsageError:
    """The refusal to ask anything of a run that is over, or was interrupted."""
    return UsageError(
        f"run {run.short_id} is not under way: {run.status}", hint="`holdfast status` lists the runs."
    )


async def ask(client: Client | None, run: ListedRun, what: str, message: object) -> Answer:
    """Ask something of a run. client: None where no server runs.

    Raises:
        UsageError: it is not under way, or it refuses.
        RPCError: the server does not answer.
    """
    if client is None or run.view is None:
        raise not_under_way(run)
    if not verb_of(run.kind).steered:
        raise UsageError(
            f"a run of the kind {run.kind.value} can only be cancelled", hint="`holdfast cancel` does that."
        )
    handle = runs.handle_of(client, run.kind, run.workflow_id)
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
        return Answer(run=run, state=None)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        raise UsageError(f"run {run.short_id} has just ended") from None
    return Answer(run=run, state=runs.to_update(state, update_id))


async def cancel(client: Client, run: ListedRun, asked: Asked) -> None:
    """Ask a run to stop, by the update where it has one; one that is stopping or has ended is fine.

    Raises:
        RPCError: the server does not answer.
    """
    if verb_of(run.kind).steered:
        try:
            await ask(client, run, CANCEL, asked)
        except UsageError:
            pass
        else:
            return
    await runs.ask_to_stop(runs.handle_of(client, run.kind, run.workflow_id))


async def state_of(client: Client, run: ListedRun) -> ControlState | None:
    """What was asked of a run so far; None when nothing can be, or no worker answers."""
    if run.view is None or not verb_of(run.kind).steered:
        return None
    handle = runs.handle_of(client, run.kind, run.workflow_id)
    try:
        state: ControlState = await handle.query(
            CONTROL_QUERY, result_type=ControlState, rpc_timeout=runs.RPC_TIMEOUT
        )
    except Exception:  # noqa: BLE001 - what a query may raise is wide, and this is for display only
        return None
    return state
