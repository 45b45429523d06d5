"""The restore workflow: trigger, select, execute, log, verify.

Where the target has room for the whole snapshot, shards run in a sliding window while the plan is still being made;
else the plan is made whole before anything is written, because the check for space needs all of it. A last step puts
hard links, deletions and the metadata of directories in place.
A dry run writes nothing; its last step only counts what would be deleted. As with a backup, the workflow only
counts: the plan and what is done of it lie in the run's workspace.
"""

import asyncio
from dataclasses import replace

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

from contracts import names
from contracts.common import (
    ERRORS_QUERY,
    PLAN_QUERY,
    PROGRESS_QUERY,
    RESTORE_WORKFLOW,
    CloseInput,
    Errors,
    Phase,
    Plan,
    Progress,
    RunRef,
    RunStatus,
    Verdict,
    VerifyInput,
    VerifyLevel,
)
from contracts.notify import NotifyInput
from contracts.restore import (
    Finished,
    FinishInput,
    RestoreLogInput,
    RestoreOpened,
    RestorePage,
    RestoreProgress,
    RestoreRequest,
    RestoreResult,
    RestoreSelectInput,
    RestoreShardInput,
    RestoreTriggerInput,
    ShardRestored,
    SpaceInput,
    ToCommandInput,
)
from workflows.attributes import show_run
from workflows.control import RunControl, SteeredWorkflow
from workflows.details import control_notes, pace_of, render
from workflows.failures import failure_of
from workflows.notices import tell_end
from workflows.pacing import Pacing
from workflows.policies import ActivityCalls
from workflows.run_id import run_id_of
from workflows.window import Work, run_window


@workflow.defn(name=RESTORE_WORKFLOW)
class RestoreWorkflow(SteeredWorkflow):
    """One restore of one selection from one repository."""

    @workflow.init
    def __init__(self, request: RestoreRequest) -> None:
        self._request = request
        self._progress = request.progress or RestoreProgress(
            run_id=run_id_of(request.resume_run), started_ns=workflow.time_ns()
        )
        self._control = RunControl(self._progress.control)
        self._calls = ActivityCalls(policy=request.policy, control=self._control)
        self._pacing = Pacing(request.policy)
        self._phase = Phase.TRIGGER
        self._status = RunStatus.RUNNING
        self._restoring = 0
        self._selecting = False
        self._verdict: Verdict | None = None

    @workflow.run
    async def run(self, request: RestoreRequest) -> RestoreResult:
        """Run to the end. Fails with the type and message of the error that no retry can help.

        A run that was cancelled through the update or signal ends with a result that says so.
        """
        self._steerable()
        try:
            return await self._restore(request)
        except (FailureError, asyncio.CancelledError) as error:
            # Cancellation is delivered once per run, so what follows it here is not cancelled in its turn.
            cancelled = is_cancelled_exception(error)
            await self._end_early(RunStatus.CANCELLED if cancelled else RunStatus.FAILED, error)
            if cancelled and self._control.state.cancel is not None:
                return self._result(RunStatus.CANCELLED, workflow.time_ns())
            if cancelled:
                raise
            raise failure_of(error).as_workflow_failure() from error

    @workflow.query(name=PROGRESS_QUERY)
    def progress(self) -> Progress:
        """Where the run stands; bytes of shards that are not finished are in their heartbeats."""
        totals = self._progress.totals
        opened = self._progress.opened
        rate, left = pace_of(
            workflow.time_ns() - self._progress.started_ns,
            done=totals.bytes_written,
            total=totals.bytes_to_write if self._progress.selection_complete else None,
        )
        return Progress(
            run_id=self._progress.run_id,
            phase=self._phase,
            status=self._status,
            selection_complete=self._progress.selection_complete,
            files_total=totals.files,
            files_done=min(totals.files, totals.files_written + totals.files_kept + totals.files_skipped),
            bytes_total=totals.bytes_to_write,
            bytes_done=min(totals.bytes_to_write, totals.bytes_written),
            shards_total=self._progress.shards_planned,
            shards_done=self._progress.shards_done,
            errors=totals.errors,
            snapshot_id=opened.snapshot_id if opened is not None else "",
            paused=self._control.state.pause is not None,
            started_ns=self._progress.started_ns,
            bytes_per_second=rate,
            seconds_left=left,
        )

    @workflow.query(name=PLAN_QUERY)
    def plan(self) -> Plan:
        """What the run has decided to do so far."""
        opened, totals = self._progress.opened, self._progress.totals
        return Plan(
            snapshot_id="" if opened is None else opened.snapshot_id,
            selection_complete=self._progress.selection_complete,
            pages=self._progress.pages_done,
            shards=self._progress.shards_planned,
            files=totals.files,
            files_to_move=max(0, totals.files - totals.files_skipped),
            bytes_to_move=totals.bytes_to_write,
            dry_run=opened is not None and opened.dry_run,
        )

    @workflow.query(name=ERRORS_QUERY)
    def errors(self) -> Errors:
        """What went wrong so far, counted; what could not be planned counts with what could not be written."""
        return Errors(
            moving=self._progress.totals.errors,
            problems=0 if self._verdict is None else self._verdict.problems,
        )

    async def _restore(self, request: RestoreRequest) -> RestoreResult:
        opened = await self._trigger()
        if request.to_command:
            status = await self._to_command(opened)
        else:
            if not opened.has_room:
                await self._select()
            if not opened.dry_run:
                await self._write()
            status = await self._finish()
        ended_ns = workflow.time_ns()
        self._enter(Phase.LOG)
        await self._calls.quick(
            names.LOG_RESTORE, self._log_input(status, ended_ns), type(None), "write the record"
        )
        if not opened.dry_run and not request.to_command:
            await self._verify(request.verify, opened.snapshot_id)
        await self._calls.quick(
            names.CLOSE_RESTORE,
            CloseInput(run=self._run_ref(), status=status, ended_ns=ended_ns, verdict=self._verdict),
            type(None),
            "remove the workspace",
        )
        self._status = status
        self._control.is_over = True
        self._enter(Phase.DONE)
        show_run(status=status)
        await self._tell(status, ended_ns)
        return self._result(status, ended_ns)

    def _result(self, status: RunStatus, ended_ns: int) -> RestoreResult:
        opened = self._progress.opened
        return RestoreResult(
            run_id=self._progress.run_id,
            status=status,
            snapshot_id="" if opened is None else opened.snapshot_id,
            started_ns=self._progress.started_ns,
            ended_ns=ended_ns,
            totals=self._progress.totals,
            verdict=self._verdict,
        )

    async def _trigger(self) -> RestoreOpened:
        if self._progress.opened is not None:
            return self._progress.opened
        show_run(status=RunStatus.RUNNING)
        self._enter(Phase.TRIGGER)
        opened = await self._calls.quick(
            names.TRIGGER_RESTORE,
            RestoreTriggerInput(
                run=self._run_ref(), request=self._request, started_ns=self._progress.started_ns
            ),
            RestoreOpened,
            "open the run",
        )
        self._progress = replace(self._progress, opened=opened, space_checked=opened.has_room)
        show_run(snapshot=opened.snapshot_id)
        return opened

    async def _to_command(self, opened: RestoreOpened) -> RunStatus:
        """Not stopped and begun anew by a pause or throttle: the command gets its input once."""
        self._enter(Phase.EXECUTE)
        given = await ActivityCalls(policy=self._request.policy).copying_once(
            names.RESTORE_TO_COMMAND,
            ToCommandInput(
                run=self._run_ref(), source=self._request.to_command, snapshot_id=opened.snapshot_id
            ),
            ShardRestored,
            "give it to the command",
        )
        self._progress = replace(
            self._progress, selection_complete=True, totals=self._progress.totals.plus(given.totals)
        )
        return RunStatus.COMPLETE

    async def _select(self) -> None:
        self._enter(Phase.SELECT)
        while not self._progress.selection_complete:
            if self._pacing.is_long():
                self._continue_as_new()
            await self._select_page()

    async def _select_page(self) -> None:
        page = self._progress.pages_done
        self._pacing.page_started()
        selected = await self._calls.quick(
            names.SELECT_RESTORE,
            RestoreSelectInput(run=self._run_ref(), page=page, first_shard=self._progress.shards_planned),
            RestorePage,
            f"select page {page}",
        )
        self._selecting = False
        self._progress = replace(
            self._progress,
            pages_done=page + 1,
            selection_complete=selected.last,
            shards_planned=self._progress.shards_planned + selected.shards,
            totals=self._progress.totals.plus(selected.totals),
        )
        if selected.last and self._progress.space_checked:
            self._enter(Phase.EXECUTE)
        self._show()

    async def _write(self) -> None:
        """Restore the shards; and plan them meanwhile, unless that is done."""
        self._enter(Phase.EXECUTE if self._progress.selection_complete else Phase.SELECT)
        if not self._progress.space_checked:
            await self._calls.quick(
                names.CHECK_SPACE,
                SpaceInput(run=self._run_ref(), bytes_to_write=self._progress.totals.bytes_to_write),
                type(None),
                "check the space",
            )
            self._progress = replace(self._progress, space_checked=True)
        await run_window(self._next_work)
        if (
            not self._progress.selection_complete
            or self._progress.shards_done < self._progress.shards_planned
        ):
            self._continue_as_new()

    async def _finish(self) -> RunStatus:
        finished = await self._calls.lasting(
            names.FINISH_RESTORE,
            FinishInput(
                run=self._run_ref(), pages=self._progress.pages_done, shards=self._progress.shards_planned
            ),
            Finished,
            "links, deletions, directories",
        )
        self._progress = replace(self._progress, totals=self._progress.totals.plus(finished.totals))
        return finished.status

    def _next_work(self) -> Work | None:
        if self._pacing.is_long():
            return None
        if not self._selecting and not self._progress.selection_complete:
            self._selecting = True
            return self._select_page()
        if self._restoring >= (self._control.window or self._request.policy.window):
            return None
        shard = self._progress.shards_started
        if shard >= self._progress.shards_planned:
            return None
        self._progress = replace(self._progress, shards_started=shard + 1)
        self._restoring += 1
        self._pacing.shard_started()
        return self._restore_shard(shard)

    async def _restore_shard(self, shard: int) -> None:
        restored = await self._calls.copying(
            names.RESTORE_SHARD,
            lambda: RestoreShardInput(
                run=self._run_ref(), shard=shard, throttle=self._control.state.throttle
            ),
            ShardRestored,
            f"shard {shard}",
        )
        self._restoring -= 1
        self._progress = replace(
            self._progress,
            shards_done=self._progress.shards_done + 1,
            totals=self._progress.totals.plus(restored.totals),
        )
        self._show()

    async def _verify(self, level: VerifyLevel, snapshot_id: str) -> None:
        if level is VerifyLevel.NONE:
            return
        self._enter(Phase.VERIFY)
        self._verdict = await self._calls.lasting(
            names.VERIFY_RESTORE,
            VerifyInput(
                run=self._run_ref(),
                snapshot_id=snapshot_id,
                level=level,
                pages=self._progress.pages_done,
                shards=self._progress.shards_planned,
            ),
            Verdict,
            f"verify: {level.value}",
        )

    async def _end_early(self, status: RunStatus, error: BaseException) -> None:
        """Leave a run that can be resumed, and a record that says how it ended; whatever of that is
        possible."""
        self._status = status
        self._control.is_over = True
        show_run(status=status)
        ended_ns = workflow.time_ns()
        kind = "" if status is RunStatus.CANCELLED else failure_of(error).kind
        try:
            await self._calls.last_words(
                names.LOG_RESTORE, self._log_input(status, ended_ns, kind), f"record: {status.value}"
            )
            await self._calls.last_words(
                names.CLOSE_RESTORE,
                CloseInput(run=self._run_ref(), status=status, ended_ns=ended_ns, keep_workspace=True),
                "keep the workspace",
            )
        except FailureError as second:
            workflow.logger.warning("the end of the run could not be recorded: %s", failure_of(second).kind)
        self._show()
        await self._tell(status, ended_ns, kind)

    async def _tell(self, status: RunStatus, ended_ns: int, failure_kind: str = "") -> None:
        opened = self._progress.opened
        message = NotifyInput(
            run=self._run_ref(),
            kind="restore",
            status=status,
            started_ns=self._progress.started_ns,
            ended_ns=ended_ns,
            failure_kind=failure_kind,
        )
        await tell_end(
            message,
            wanted=None if opened is None else opened.tell,
            heartbeat_timeout_s=self._request.policy.heartbeat_timeout_s,
        )

    def _log_input(self, status: RunStatus, ended_ns: int, failure_kind: str = "") -> RestoreLogInput:
        return RestoreLogInput(
            run=self._run_ref(),
            request=replace(self._request, progress=None),
            status=status,
            started_ns=self._progress.started_ns,
            ended_ns=ended_ns,
            pages=self._progress.pages_done,
            shards=self._progress.shards_planned,
            opened=self._progress.opened,
            totals=self._progress.totals,
            failure_kind=failure_kind,
        )

    def _run_ref(self) -> RunRef:
        return RunRef(
            run_id=self._progress.run_id, repository=self._request.repository, source=self._request.selection
        )

    def _continue_as_new(self) -> None:
        """Go on in a new history; the window is drained, so every shard that was started is done."""
        progress = replace(self._progress, control=self._control.state)
        workflow.continue_as_new(replace(self._request, progress=progress))

    def _on_control(self) -> None:
        show_run(status=self._status, paused=self._control.state.pause is not None)
        self._show()

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._show()

    def _show(self) -> None:
        elapsed_ns = workflow.time_ns() - self._progress.started_ns
        workflow.set_current_details(render(self.progress(), elapsed_ns=elapsed_ns, notes=self._notes()))

    def _notes(self) -> list[str]:
        notes = control_notes(self._control.state)
        if self._verdict is not None:
            notes.append(
                f"Verified ({self._verdict.level.value}): {'good' if self._verdict.ok else 'PROBLEMS'}"
            )
        return notes
