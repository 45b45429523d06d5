"""The restore workflow: trigger, select, execute, log, verify.

Where the target has room for the whole snapshot, shards run in a sliding window while the plan is still being made;
else the plan is made whole before anything is written, because the check for space needs all of it. A last step puts
hard links, deletions and the metadata of directories in place.
A dry run writes nothing; its last step only counts what would be deleted. As with a backup, the workflow only
counts: the plan and what is done of it lie in the run's workspace.
"""

from dataclasses import replace

from temporalio import workflow

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
    Verdict,
    VerifyInput,
)
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
from holdfast.terms import RunStatus, VerifyLevel
from workflows.attributes import show_run
from workflows.details import control_notes, verdict_notes
from workflows.policies import ActivityCalls
from workflows.restore_answers import counts_of, errors_of, plan_of, record_of, result_of
from workflows.run_frame import Ending, SteeredRun
from workflows.run_id import attempt_of, run_id_of
from workflows.window import Work, run_window


@workflow.defn(name=RESTORE_WORKFLOW)
class RestoreWorkflow(SteeredRun[RestoreResult]):
    """One restore of one selection from one repository."""

    _kind = "restore"
    _progress: RestoreProgress

    @workflow.init
    def __init__(self, request: RestoreRequest) -> None:
        self._request = request
        self._progress = request.progress or RestoreProgress(
            run_id=run_id_of(request.resume_run), started_ns=workflow.time_ns()
        )
        self._restoring = 0
        self._selecting = False
        self._verdict: Verdict | None = None
        super().__init__(request.policy, self._progress.control)

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
        """What the run has decided to do so far."""
        return plan_of(self._progress)

    @workflow.query(name=ERRORS_QUERY)
    def errors(self) -> Errors:
        """What went wrong so far, counted; what could not be planned counts with what could not be written."""
        return errors_of(self._progress, self._verdict)

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
        ending = Ending(status=status, ended_ns=workflow.time_ns())
        self._enter(Phase.LOG)
        await self._calls.quick(names.LOG_RESTORE, self._record(ending), type(None), "write the record")
        if not opened.dry_run and not request.to_command:
            await self._verify(request.verify, opened.snapshot_id)
        await self._calls.quick(
            names.CLOSE_RESTORE,
            CloseInput(run=self._run_ref(), status=status, ended_ns=ending.ended_ns, verdict=self._verdict),
            type(None),
            "remove the workspace",
        )
        await self._end_well(ending)
        return result_of(self._progress, self._verdict, ending)

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
        if self._restoring >= self._window:
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

    async def _last_words(self, ending: Ending) -> None:
        """Leave a run that can be resumed, and a record that says how it ended."""
        await self._calls.last_words(
            names.LOG_RESTORE, self._record(ending), f"record: {ending.status.value}"
        )
        await self._calls.last_words(
            names.CLOSE_RESTORE,
            CloseInput(
                run=self._run_ref(), status=ending.status, ended_ns=ending.ended_ns, keep_workspace=True
            ),
            "keep the workspace",
        )

    def _record(self, ending: Ending) -> RestoreLogInput:
        return record_of(self._run_ref(), self._request, self._progress, ending)

    def _cancelled_result(self) -> RestoreResult:
        ending = Ending(status=RunStatus.CANCELLED, ended_ns=workflow.time_ns())
        return result_of(self._progress, self._verdict, ending)

    def _run_ref(self) -> RunRef:
        return RunRef(
            run_id=self._progress.run_id,
            repository=self._request.repository,
            source=self._request.selection,
            attempt=attempt_of(self._progress.run_id),
        )

    def _continue_as_new(self) -> None:
        """Go on in a new history; the window is drained, so every shard that was started is done."""
        progress = replace(self._progress, control=self._control.state)
        workflow.continue_as_new(replace(self._request, progress=progress))

    def _notes(self) -> list[str]:
        return [*control_notes(self._control.state), *verdict_notes(self._verdict)]
