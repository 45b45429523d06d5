"""The restore workflow: trigger, select, execute, log, verify.

Where the target has room for the whole snapshot, shards run in a sliding window while the plan is still being made;
else the plan is made whole before anything is written, because the check for space needs all of it. A last step puts
hard links, deletions and the metadata of directories in place.
A dry run writes nothing; its last step only counts what would be deleted.
"""

from collections.abc import Callable
from dataclasses import replace

from temporalio import workflow

from holdfast.contracts import names
from holdfast.contracts.common import (
    ERRORS_QUERY,
    PLAN_QUERY,
    PROGRESS_QUERY,
    RESTORE_WORKFLOW,
    CloseInput,
    Ending,
    Errors,
    Phase,
    Plan,
    Progress,
)
from holdfast.contracts.restore import (
    Finished,
    RestoreLogInput,
    RestoreOpened,
    RestorePage,
    RestoreProgress,
    RestoreRequest,
    RestoreResult,
    RestoreTriggerInput,
    SpaceInput,
    ToCommandInput,
)
from holdfast.contracts.runs import PlanInput, SelectInput, ShardInput
from holdfast.terms import RestoreTotals, RunKind, RunStatus
from holdfast.workflows.attributes import show_run
from holdfast.workflows.details import control_notes, verdict_notes
from holdfast.workflows.restore_answers import counts_of, errors_of, plan_of, result_of
from holdfast.workflows.run_id import run_id_of
from holdfast.workflows.sharded_run import ShardedRun


@workflow.defn(name=RESTORE_WORKFLOW)
class RestoreWorkflow(ShardedRun[RestoreResult, RestoreRequest, RestoreProgress]):
    """One restore of one selection from one repository."""

    _kind = RunKind.RESTORE
    _log = names.LOG_RESTORE

    @workflow.init
    def __init__(self, request: RestoreRequest) -> None:
        progress = request.progress or RestoreProgress(
            run_id=run_id_of(request.resume_run), started_ns=workflow.time_ns()
        )
        super().__init__(request, progress)

    @workflow.run
    async def run(self, request: RestoreRequest) -> RestoreResult:
        """Run to the end. Fails with the type and message of the error that no retry can help.

        A run that was cancelled through the update or signal ends with a result that says so.
        """
        return await self._framed(self._restore(request))

    @workflow.query(name=PROGRESS_QUERY)
    def progress(self) -> Progress:
        """Where the run stands; bytes of shards that are not finished are in their heartbeats."""
        totals = self._progress.totals
        return self._standing(
            counts_of(self._progress, self._phase),
            moved=totals.bytes_written,
            to_move=totals.bytes_to_write if self._progress.selection_complete else None,
        )

    @workflow.query(name=PLAN_QUERY)
    def plan(self) -> Plan:
        """The run says what it has decided to do so far."""
        return plan_of(self._progress)

    @workflow.query(name=ERRORS_QUERY)
    def errors(self) -> Errors:
        """The run counts what went wrong so far; what could not be planned counts with what could not be written."""
        return errors_of(self._progress, self._verdict)

    async def _restore(self, request: RestoreRequest) -> RestoreResult:
        opened = await self._open(
            names.TRIGGER_RESTORE,
            RestoreTriggerInput(run=self._run_ref(), request=request, started_ns=self._progress.started_ns),
            RestoreOpened,
        )
        show_run(snapshot=opened.snapshot_id)
        if request.to_command:
            status = await self._to_command(opened)
        else:
            await self._plan_ahead(opened)
            if not opened.dry_run:
                await self._plan_and_move()
            status = await self._finish()
        ending = Ending(status=status, ended_ns=workflow.time_ns())
        self._enter(Phase.LOG)
        await self._calls.quick(names.LOG_RESTORE, self._record(ending), type(None), "write the record")
        if not opened.dry_run and not request.to_command:
            await self._verify_snapshot(names.VERIFY_RESTORE, request.verify, opened.snapshot_id)
        close = CloseInput(run=self._run_ref(), status=status)
        await self._calls.quick(names.CLOSE_RESTORE, close, type(None), "remove the workspace")
        await self._end_well(ending)
        return replace(self._result(ending), dry_run=opened.dry_run)

    async def _to_command(self, opened: RestoreOpened) -> RunStatus:
        """It is not stopped and begun again by a pause or throttle: the command gets its input once."""
        self._enter(Phase.EXECUTE)
        message = ToCommandInput(
            run=self._run_ref(), source=self._request.to_command, snapshot_id=opened.snapshot_id
        )
        given = await self._calls.copying_once(
            names.RESTORE_TO_COMMAND, message, RestoreTotals, "give it to the command"
        )
        self._add(given)
        self._progress = replace(self._progress, selection_complete=True)
        return RunStatus.COMPLETE

    async def _plan_ahead(self, opened: RestoreOpened) -> None:
        """Where the target may lack room, or nothing is written: the whole plan first, and whether it fits."""
        if opened.has_room or self._progress.space_checked:
            return
        self._enter(Phase.SELECT)
        while not self._progress.selection_complete:
            if self._is_long():
                self._continue_as_new()
            await self._select_page()
        if not opened.dry_run:
            wanted = SpaceInput(run=self._run_ref(), bytes_to_write=self._progress.totals.bytes_to_write)
            await self._calls.quick(names.CHECK_SPACE, wanted, type(None), "check the space")
            self._progress = replace(self._progress, space_checked=True)

    async def _plan_page(self, message: SelectInput) -> RestorePage:
        selected = await self._calls.quick(
            names.SELECT_RESTORE, message, RestorePage, f"select page {message.page}"
        )
        self._add(selected.totals)
        return selected

    async def _move(self, message: Callable[[], ShardInput], summary: str) -> None:
        self._add(await self._calls.copying(names.RESTORE_SHARD, message, RestoreTotals, summary))

    async def _finish(self) -> RunStatus:
        message = PlanInput(
            run=self._run_ref(), pages=self._progress.pages_done, shards=self._progress.shards_planned
        )
        finished = await self._calls.lasting(
            names.FINISH_RESTORE, message, Finished, "links, deletions, directories"
        )
        self._add(finished.totals)
        return finished.status

    def _add(self, totals: RestoreTotals) -> None:
        self._progress = replace(self._progress, totals=self._progress.totals.plus(totals))

    @property
    def _subject(self) -> str:
        return self._request.selection

    def _record(self, ending: Ending) -> RestoreLogInput:
        request = replace(self._request, progress=None)
        return RestoreLogInput(run=self._run_ref(), request=request, progress=self._progress, ending=ending)

    def _result(self, ending: Ending) -> RestoreResult:
        return result_of(self._progress, self._verdict, ending)

    def _notes(self) -> list[str]:
        return [*control_notes(self._control.state), *verdict_notes(self._verdict)]
