"""Looks where a run stands, as one value: what it answers, what heartbeats of its shards tell, what it waits for.

What a run has begun as a run of its own, as a drill does with its restore, is looked at as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse
from temporalio.client import Client
from temporalio.service import RPCError

from holdfast.activities.waits import (
    FailingStep,
    converter_of,
    failing_step,
    is_paused,
    progress_of,
    wait_in,
    wait_of_child,
)
from holdfast.contracts import names
from holdfast.contracts.common import RESTORE_WORKFLOW, Phase, Progress, ShardHeartbeat
from holdfast.contracts.waiting import WaitsFor
from holdfast.control.known_paths import NO_PATHS, KnownPaths
from holdfast.control.pace import as_throttled
from holdfast.control.runs import Handle
from holdfast.service.waits import Wait, wait_for

_TIMEOUT: Final = timedelta(seconds=3)
_COPYING: Final = frozenset((names.STORE_SHARD, names.RESTORE_SHARD, names.VERIFY_SHARD, names.REPACK_PRUNE))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """A run as it is shown. progress: as last answered; None before the first answer. away: the server is silent.

    paused: as the server shows the run, which it can without a worker. trouble: the step that fails; wait: what the run
    waits for, that or another thing, with the paths that the reader may see; None when it goes on.
    """

    progress: Progress | None = None
    trouble: FailingStep | None = None
    wait: Wait | None = None
    away: bool = False
    paused: bool = False

    @property
    def phase(self) -> Phase:
        """The step that is under way."""
        return Phase.TRIGGER if self.progress is None else self.progress.phase

    @property
    def stands(self) -> bool:
        """Whether it does not go on now."""
        return self.wait is not None and self.wait.stands


async def look(client: Client, handle: Handle, before: RunView, known: KnownPaths = NO_PATHS) -> RunView:
    """The run now; what cannot be learned now stays as it was before. known: what its trouble may show."""
    try:
        description = await handle.describe(rpc_timeout=_TIMEOUT)
    except RPCError:
        return replace(before, away=True, wait=wait_for(WaitsFor.SERVER_AWAY))
    raw = description.raw_description
    pending = raw.pending_activities
    answer = await progress_of(client, handle.id)
    progress = before.progress
    if answer is not None:
        progress = await _with_heartbeats(client, handle.id, answer, pending)
        progress = as_throttled(await _with_restore(client, progress, raw))
    trouble = await failing_step(client, handle.id, pending)
    paused = is_paused(description)
    wait = wait_in(raw, trouble, answer, paused=paused, answered=answer is not None)
    if wait is None or not wait.stands:
        wait = await wait_of_child(client, raw) or wait
    return RunView(
        progress=progress,
        trouble=None if trouble is None else replace(trouble, message=known.shown_in(trouble.message)),
        wait=None if wait is None else wait.told(known.shown_in),
        paused=paused,
    )


async def _heartbeat(
    client: Client, workflow_id: str, activity: PendingActivityInfo
) -> ShardHeartbeat | None:
    if activity.activity_type.name not in _COPYING or len(activity.heartbeat_details.payloads) != 1:
        return None
    converter = converter_of(client, workflow_id, activity)
    values = await converter.decode(activity.heartbeat_details.payloads, [ShardHeartbeat])
    return values[0] if values and isinstance(values[0], ShardHeartbeat) else None


async def _with_heartbeats(
    client: Client, workflow_id: str, progress: Progress, pending: Sequence[PendingActivityInfo]
) -> Progress:
    heartbeats = [await _heartbeat(client, workflow_id, step) for step in pending]
    files = sum(beat.files_done for beat in heartbeats if beat is not None)
    read = sum(beat.bytes_done for beat in heartbeats if beat is not None)
    return replace(
        progress,
        files_done=min(progress.files_total, progress.files_done + files),
        bytes_done=min(progress.bytes_total, progress.bytes_done + read),
    )


async def _with_restore(
    client: Client, progress: Progress, raw: DescribeWorkflowExecutionResponse
) -> Progress:
    """A drill's progress with that of the restore that it has under way: until that has ended, it knows of none."""
    for child in raw.pending_children:
        if child.workflow_type_name != RESTORE_WORKFLOW:
            continue
        restored = await progress_of(client, child.workflow_id)
        if restored is not None:
            return replace(
                progress,
                selection_complete=restored.selection_complete,
                files_total=restored.files_total,
                files_done=restored.files_done,
                bytes_total=restored.bytes_total,
                bytes_done=restored.bytes_done,
                errors=restored.errors,
                bytes_per_second=restored.bytes_per_second,
                seconds_left=restored.seconds_left,
            )
    return progress
