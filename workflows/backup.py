"""The backup workflow: trigger, select, execute, log, verify.

Select and execute, which go on at the same time, are in backup_execution.py; hooks of the source run before and after
them.
"""

from dataclasses import replace

from temporalio import workflow

from holdfast.contracts import names
from holdfast.contracts.backup import BackupOpened, BackupRequest, BackupResult, LogInput, TriggerInput
from holdfast.contracts.common import (
    BACKUP_WORKFLOW,
    ERRORS_QUERY,
    PLAN_QUERY,
    PROGRESS_QUERY,
    CloseInput,
    Ending,
    Errors,
    Phase,
    Plan,
    Progress,
)
from holdfast.terms import RunKind, RunStatus
from holdfast.workflows.attributes import show_run
from holdfast.workflows.backup_answers import counts_of, errors_of, plan_of, result_of
from holdfast.workflows.backup_execution import BackupExecution
from holdfast.workflows.details import control_notes, verdict_notes
from holdfast.workflows.hooks import HookCalls, failed_before, hook_notes, judged, prevented


@workflow.defn(name=BACKUP_WORKFLOW)
class BackupWorkflow(BackupExecution):
    """One backup of one source into one repository."""

    _kind = RunKind.BACKUP
    _log = names.LOG_BACKUP

    @workflow.init
    def __init__(self, request: BackupRequest) -> None:
        super().__init__(request)

    @workflow.run
    async def run(self, request: BackupRequest) -> BackupResult:
        """Run to the end. Fails with the type and message of the error that no retry can help.

        A run that was cancelled through the update or signal ends with a result that says so.
        """
        return await self._framed(self._backup(request))

    @workflow.query(name=PROGRESS_QUERY)
    def progress(self) -> Progress:
        """Where the run stands; bytes of shards that are not finished are in their heartbeats."""
        selected, stored = self._progress.selected, self._progress.stored
        return self._standing(
            counts_of(self._progress, self._committed, self._phase),
            moved=stored.bytes_read - stored.bytes_reread,
            to_move=selected.bytes_to_read if self._progress.selection_complete else None,
        )

    @workflow.query(name=PLAN_QUERY)
    def plan(self) -> Plan:
        """The run says what it has decided to do so far."""
        return plan_of(self._progress)

    @workflow.query(name=ERRORS_QUERY)
    def errors(self) -> Errors:
        """The run counts what went wrong so far."""
        return errors_of(self._progress, self._verdict)

    async def _backup(self, request: BackupRequest) -> BackupResult:
        opened = await self._open(
            names.TRIGGER_BACKUP,
            TriggerInput(run=self._run_ref(), request=request, started_ns=self._progress.started_ns),
            BackupOpened,
            source=request.source,
        )
        self._progress = replace(self._progress, started_ns=opened.started_ns or self._progress.started_ns)
        show_run(strategy=opened.strategy)
        await self._hooks_before(opened)
        committed = await self._reach_snapshot(opened)
        await self._hooks_after(committed.status)
        status = judged(committed.status, self._progress.hooks)
        self._committed = replace(committed, status=status)
        ending = Ending(status=status, ended_ns=workflow.time_ns())
        self._enter(Phase.LOG)
        await self._calls.quick(names.LOG_BACKUP, self._record(ending), type(None), "write the record")
        await self._verify_snapshot(names.VERIFY_BACKUP, request.verify, committed.snapshot_id)
        close = CloseInput(run=self._run_ref(), status=status)
        await self._calls.quick(names.CLOSE_RUN, close, type(None), "remove the workspace")
        await self._end_well(ending)
        return self._result(ending)

    async def _hooks_before(self, opened: BackupOpened) -> None:
        if self._progress.hooks_begun or opened.finished_snapshot:
            return
        self._progress = replace(self._progress, hooks_begun=True)
        done = await self._hook_calls().before(opened.before)
        self._progress = replace(self._progress, hooks=done)
        failed = failed_before(done)
        if failed is not None:
            raise prevented(failed)
        self._end_if_cancelled()

    async def _hooks_after(self, status: RunStatus) -> None:
        """Run them whatever has happened, once those before have begun."""
        opened = self._progress.opened
        if opened is None or not self._progress.hooks_begun or self._progress.hooks_over:
            return
        done = await self._hook_calls().after(opened.after, status)
        self._progress = replace(self._progress, hooks_over=True, hooks=(*self._progress.hooks, *done))

    def _hook_calls(self) -> HookCalls:
        return HookCalls(
            run=self._run_ref(),
            calls=self._calls,
            source=self._request.source,
        )

    async def _last_words(self, ending: Ending) -> None:
        """Run the hooks that are owed, and leave a record that says how it ended."""
        await self._hooks_after(ending.status)
        await super()._last_words(ending)

    def _record(self, ending: Ending) -> LogInput:
        return LogInput(
            run=self._run_ref(),
            request=replace(self._request, progress=None),
            progress=self._progress,
            ending=ending,
            committed=self._committed,
        )

    def _result(self, ending: Ending) -> BackupResult:
        return result_of(self._request, self._progress, self._committed, self._verdict, ending)

    @property
    def _elapsed_ns(self) -> int:
        """Since this workflow began: the time of the run is that of the one which it resumes."""
        return workflow.time_ns() - (self._progress.begun_ns or self._started_ns)

    def _notes(self) -> list[str]:
        opened = self._progress.opened
        return [
            *([] if opened is None else [f"Strategy: {opened.strategy.value} ({opened.reason})"]),
            *verdict_notes(self._verdict),
            *hook_notes(self._progress.hooks),
            *control_notes(self._control.state),
        ]
