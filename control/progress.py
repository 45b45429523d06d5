"""Looks where a run stands: the progress query, plus what the heartbeats of unfinished shards tell, as one value."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import Client, WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from holdfast.activities.waits import FailingStep, converter_of, failing_step
from holdfast.contracts import names
from holdfast.contracts.common import PROGRESS_QUERY, Phase, Progress, ShardHeartbeat
from holdfast.control.known_paths import NO_PATHS, KnownPaths
from holdfast.control.runs import Handle
from holdfast.workflows.attributes import PAUSED, STATUS

_TIMEOUT: Final = timedelta(seconds=3)
_COPYING: Final = frozenset((names.STORE_SHARD, names.RESTORE_SHARD, names.VERIFY_SHARD, names.REPACK_PRUNE))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """A run as it is shown. progress: as last answered; None before the first answer. away: the server is silent.

    paused: as the server shows the run, which it can without a worker.
    """

    progress: Progress | None = None
    trouble: FailingStep | None = None
    away: bool = False
    paused: bool = False

    @property
    def phase(self) -> Phase:
        """The step that is under way."""
        return Phase.TRIGGER if self.progress is None else self.progress.phase


async def look(client: Client, handle: Handle, before: RunView, known: KnownPaths = NO_PATHS) -> RunView:
    """The run now; what cannot be learned now stays as it was before. known: what its trouble may show."""
    try:
        description = await handle.describe(rpc_timeout=_TIMEOUT)
    except RPCError:
        return replace(before, away=True)
    pending = list(description.raw_description.pending_activities)
    progress = await _progress(handle)
    if progress is None:
        progress = before.progress
    else:
        progress = _with_heartbeats(progress, [await _heartbeat(client, handle.id, step) for step in pending])
    paused = description.typed_search_attributes.get(STATUS) == PAUSED
    trouble = await failing_step(client, handle.id, pending)
    if trouble is not None:
        trouble = replace(trouble, message=known.shown_in(trouble.message))
    return RunView(progress=progress, trouble=trouble, paused=paused)


async def _progress(handle: Handle) -> Progress | None:
    try:
        answer: Progress = await handle.query(PROGRESS_QUERY, result_type=Progress, rpc_timeout=_TIMEOUT)
    except (RPCError, WorkflowQueryFailedError, WorkflowQueryRejectedError, ApplicationError):
        return None  # the last: an answer that is not believed
    return answer


async def _heartbeat(
    client: Client, workflow_id: str, activity: PendingActivityInfo
) -> ShardHeartbeat | None:
    if activity.activity_type.name not in _COPYING or len(activity.heartbeat_details.payloads) != 1:
        return None
    converter = converter_of(client, workflow_id, activity)
    values = await converter.decode(activity.heartbeat_details.payloads, [ShardHeartbeat])
    return values[0] if values and isinstance(values[0], ShardHeartbeat) else None


def _with_heartbeats(progress: Progress, heartbeats: list[ShardHeartbeat | None]) -> Progress:
    files = sum(beat.files_done for beat in heartbeats if beat is not None)
    read = sum(beat.bytes_done for beat in heartbeats if beat is not None)
    return replace(
        progress,
        files_done=min(progress.files_total, progress.files_done + files),
        bytes_done=min(progress.bytes_total, progress.bytes_done + read),
    )
