"""Decides what a prune asks."""

import uuid

from temporalio.client import Client, WorkflowUpdateFailedError

from holdfast.contracts.guard import APPROVE_UPDATE, Approval
from holdfast.contracts.identity import WHOLE, workflow_id
from holdfast.contracts.prune import PruneStatus
from holdfast.control import runs
from holdfast.errors import UsageError
from holdfast.service.settings.model import Settings
from holdfast.terms import RunKind


async def approve(client: Client, settings: Settings, repository: str, approval: Approval) -> PruneStatus:
    """Decide about the plan of a repository's prune. repository: as workflows name it.

    Raises:
        UsageError: no prune waits, or it refuses the answer.
        UntrustedError: what it says to that is not believed.
    """
    name = workflow_id(RunKind.PRUNE, settings.host, repository, WHOLE)
    if not await runs.is_open(client, name):
        raise UsageError(
            f"no prune of {repository} waits for approval", hint="`holdfast status` shows what is under way."
        )
    update_id = str(uuid.uuid4())
    handle = client.get_workflow_handle(name)
    try:
        status: PruneStatus = await handle.execute_update(
            APPROVE_UPDATE, approval, id=update_id, result_type=PruneStatus
        )
    except WorkflowUpdateFailedError as error:
        raise UsageError(str(error.cause), hint="`holdfast status` shows what waits.") from None
    return runs.to_update(status, update_id)
