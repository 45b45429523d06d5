"""Collects reports of changes of one source, and has it backed up once its condition holds.

Reports are updates, mostly update-with-start: a thousand of them, from whomever, find one workflow and lead to one
backup. It ends when nothing is pending and the shortest time between two backups has passed; the next report starts
it again. Its backup runs under the source's one id, so one that is under way already is waited for.
"""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.exceptions import ApplicationError, ChildWorkflowError, is_cancelled_exception

from holdfast.contracts.backup import BackupResult
from holdfast.contracts.common import BACKUP_WORKFLOW, Trigger, TriggerKind
from holdfast.contracts.control import REFUSED
from holdfast.contracts.watch import (
    CHANGES_UPDATE,
    MAX_TEXT,
    SOURCE_WATCH_WORKFLOW,
    WATCH_QUERY,
    Changes,
    PendingChanges,
    WatchOrder,
    WatchState,
    WatchStatus,
    due_ns,
)
from holdfast.units import NS_PER_S
from holdfast.workflows.attributes import show_run
from holdfast.workflows.children import result_of, start_run

_MOST_UPDATES: Final = 1_000
"""The server takes 2,000 updates in one history."""
_LOOK_AGAIN_S: Final = 15.0
_FIRST_REPORT_S: Final = 60.0
_RETRY_S: Final = 60.0


@workflow.defn(name=SOURCE_WATCH_WORKFLOW)
class SourceWatchWorkflow:
    """The collector of one source."""

    @workflow.init
    def __init__(self, order: WatchOrder) -> None:
        self._order = order
        self._state = order.state or WatchState()
        self._updates = 0
        self._running = False

    @workflow.run
    async def run(self, order: WatchOrder) -> WatchStatus:
        """Collect and back up until nothing is left to do."""
        show_run(source=order.request.source)
        # The report that comes with the start is mostly taken before this runs.
        if order.state is None and not self._state.reports:
            await self._changed(_FIRST_REPORT_S)
        while True:
            wait_s = self._wait_s()
            if wait_s is None:
                return self.status()
            if wait_s > 0:
                await self._changed(wait_s)
            elif self._state.pending.reports:
                await self._back_up()
            self._continue_if_long()

    @workflow.update(name=CHANGES_UPDATE)
    def changes(self, changes: Changes) -> WatchStatus:
        """Take a report."""
        self._updates += 1
        self._state = replace(
            self._state,
            pending=self._state.pending.plus(changes, workflow.time_ns()),
            reports=self._state.reports + 1,
        )
        return self.status()

    @changes.validator
    def check_changes(self, changes: Changes) -> None:
        """Refuse what cannot be meant."""
        if changes.files < 0 or changes.size_bytes < 0 or changes.largest_bytes < 0:
            raise ApplicationError("counts and sizes are not negative", type=REFUSED)
        if len(changes.by) > MAX_TEXT or len(changes.evidence) > MAX_TEXT:
            raise ApplicationError(f"`by` and `evidence` have at most {MAX_TEXT} characters", type=REFUSED)

    @workflow.query(name=WATCH_QUERY)
    def status(self) -> WatchStatus:
        """Answer what is pending, and when the next backup is due."""
        pending = self._state.pending
        wait_s = self._wait_s() if pending.reports else None
        return WatchStatus(
            pending_files=pending.files,
            pending_bytes=pending.size_bytes,
            runs=self._state.runs,
            reports=self._state.reports,
            running=self._running,
            due_in_s=wait_s,
            pending_since_ns=pending.first_ns,
        )

    def _wait_s(self) -> float | None:
        """Seconds for which nothing has to be done; 0 when a backup is due, None when this workflow may end."""
        now_ns, state = workflow.time_ns(), self._state
        conditions = self._order.conditions
        due = due_ns(conditions, state.pending, state.ended_ns)
        if due is None:
            if not state.ended_ns:
                return None
            due = state.ended_ns + round(conditions.min_interval_s * NS_PER_S)
            return None if due <= now_ns else (due - now_ns) / NS_PER_S
        if state.failed:
            due = max(due, state.ended_ns + round(_RETRY_S * NS_PER_S))
        return max(0.0, (due - now_ns) / NS_PER_S)

    async def _changed(self, wait_s: float) -> None:
        """Wait for a report, at most so long."""
        before = self._state.reports
        try:
            await workflow.wait_condition(
                lambda: self._state.reports != before, timeout=timedelta(seconds=wait_s)
            )
        except TimeoutError:
            return

    async def _back_up(self) -> None:
        pending = self._state.pending
        request = replace(self._order.request, trigger=_trigger(pending))
        child = await start_run(
            BACKUP_WORKFLOW,
            request,
            self._order.workflow_id,
            summary=f"backup of {request.source}: it has changed",
        )
        if child is None:
            # What changed may have come too late for the backup that is under way: it gets one of its own.
            await workflow.sleep(timedelta(seconds=_LOOK_AGAIN_S))
            return
        self._state = replace(self._state, pending=PendingChanges())
        self._running = True
        failed = False
        try:
            await result_of(child, BackupResult)
        except (ChildWorkflowError, ApplicationError) as error:
            failed = not is_cancelled_exception(error)
            workflow.logger.warning("the backup that changes asked for did not end well")
        if workflow.cancellation_reason() is not None:
            raise asyncio.CancelledError  # one that ended well all the same hides that from its caller
        self._running = False
        self._state = replace(
            self._state,
            pending=self._state.pending.and_before(pending) if failed else self._state.pending,
            ended_ns=workflow.time_ns(),
            failed=failed,
            runs=self._state.runs + (not failed),
        )

    def _continue_if_long(self) -> None:
        if self._updates >= _MOST_UPDATES or workflow.info().is_continue_as_new_suggested():
            workflow.continue_as_new(replace(self._order, state=self._state))


def _trigger(pending: PendingChanges) -> Trigger:
    said = f"{pending.files} changes in {pending.reports} reports, {pending.size_bytes} bytes"
    evidence = f"{said}; {pending.evidence}" if pending.evidence else said
    return Trigger(kind=TriggerKind.EVENT, by=pending.by, evidence=evidence)
