"""The verify workflow: trigger, plan, read shards while the trees are walked, finish, log.

Of a whole repository, the packs are chosen, and read in a sliding window, while one activity walks the trees. Of
chosen snapshots, the walk comes first, because it says which packs they need. The last step knows what all of it comes
to: it marks damaged blobs, follows them to snapshots and paths, and lets go of packs that a backup has mended. The
workflow only counts; packs and paths lie in the run's workspace and in the journal.
"""

from dataclasses import replace

from temporalio import workflow

from contracts import names
from contracts.common import PROGRESS_QUERY, Phase, Progress, RunRef
from contracts.verify import (
    DAMAGE_FOUND,
    VERIFY_WORKFLOW,
    ShardVerified,
    TreesChecked,
    TreesInput,
    VerifyFinished,
    VerifyFinishInput,
    VerifyLogInput,
    VerifyOpened,
    VerifyPlanInput,
    VerifyPlanned,
    VerifyProgress,
    VerifyRequest,
    VerifyResult,
    VerifyShardInput,
    VerifyTriggerInput,
)
from holdfast.terms import RunStatus
from workflows.attributes import show_run
from workflows.details import control_notes
from workflows.run_frame import Ending, SteeredRun
from workflows.run_id import attempt_id, attempt_of, run_id_of
from workflows.window import Work, run_window


@workflow.defn(name=VERIFY_WORKFLOW)
class VerifyWorkflow(SteeredRun[VerifyResult]):
    """One verification of one repository, or of some of its snapshots."""

    _kind = "verify"
    _progress: VerifyProgress

    @workflow.init
    def __init__(self, request: VerifyRequest) -> None:
        self._request = request
        self._progress = request.progress or VerifyProgress(
            run_id=run_id_of(request.resume_run), started_ns=workflow.time_ns()
        )
        self._walking = False
        self._planning = False
        self._reading = 0
        self._finished: VerifyFinished | None = None
        super().__init__(request.policy, self._progress.control)

    @workflow.run
    async def run(self, _request: VerifyRequest) -> VerifyResult:
        """Run to the end; damage is in the result. Fails with the type and message of an error that no retry helps.

        A run that was cancelled through the update or signal ends with a result that says so.
        """
        return await self._framed(self._verify())

    @workflow.query(name=PROGRESS_QUERY)
    def progress(self) -> Progress:
        """Where the run stands; its files are the repository's pack files."""
        plan, totals = self._progress.plan, self._progress.totals
        counts = Progress(
            run_id=attempt_id(),
            phase=self._phase,
            selection_complete=plan is not None,
            files_total=0 if plan is None else plan.packs,
            files_done=totals.packs,
            bytes_total=0 if plan is None else plan.bytes_total,
            bytes_done=totals.bytes_read,
            shards_total=0 if plan is None else plan.shards,
            shards_done=self._progress.shards_done,
            errors=totals.damaged_packs,
        )
        return self._standing(
            counts, moved=totals.bytes_read, to_move=None if plan is None else plan.bytes_total
        )

    async def _verify(self) -> VerifyResult:
        opened = await self._trigger()
        self._enter(Phase.SELECT)
        if opened.snapshots:
            await self._check_trees(opened)
            await self._plan(opened)
        if self._progress.plan is not None:
            self._enter(Phase.EXECUTE)
        await run_window(self._next_work)
        plan = self._progress.plan
        if plan is None or self._progress.shards_done < plan.shards or self._progress.trees is None:
            self._continue_as_new()
        self._enter(Phase.VERIFY)
        self._finished = await self._calls.lasting(
            names.FINISH_VERIFY,
            VerifyFinishInput(run=self._run_ref()),
            VerifyFinished,
            "diagnose, mark, mend",
        )
        ending = _ending_of(self._finished)
        self._enter(Phase.LOG)
        record = replace(self._record(ending), close=True)
        await self._calls.quick(names.LOG_VERIFY, record, type(None), "write the record")
        await self._end_well(ending)
        return self._result(ending)

    def _cancelled_result(self) -> VerifyResult:
        return self._result(Ending(status=RunStatus.CANCELLED, ended_ns=workflow.time_ns()))

    def _result(self, ending: Ending) -> VerifyResult:
        plan, opened = self._progress.plan, self._progress.opened
        return VerifyResult(
            run_id=attempt_id(),
            status=ending.status,
            finished=self._finished,
            started_ns=self._progress.started_ns,
            ended_ns=ending.ended_ns,
            share=self._request.share,
            packs_of_repository=0 if plan is None else plan.packs_of_repository,
            latest="" if opened is None else opened.latest,
            ahead=() if opened is None else opened.ahead,
        )

    async def _trigger(self) -> VerifyOpened:
        if self._progress.opened is not None:
            return self._progress.opened
        show_run(status=RunStatus.RUNNING)
        self._enter(Phase.TRIGGER)
        opened = await self._calls.quick(
            names.TRIGGER_VERIFY,
            VerifyTriggerInput(
                run=self._run_ref(), request=self._request, started_ns=self._progress.started_ns
            ),
            VerifyOpened,
            "open the run",
        )
        self._progress = replace(self._progress, opened=opened)
        return opened

    async def _check_trees(self, opened: VerifyOpened) -> None:
        if self._progress.trees is not None:
            return
        checked = await self._calls.lasting(
            names.CHECK_TREES,
            TreesInput(run=self._run_ref(), snapshots=opened.snapshots),
            TreesChecked,
            "walk the trees",
        )
        self._progress = replace(self._progress, trees=checked)
        self._show()

    async def _plan(self, opened: VerifyOpened) -> None:
        if self._progress.plan is not None:
            return
        plan = await self._calls.quick(
            names.PLAN_VERIFY,
            VerifyPlanInput(
                run=self._run_ref(),
                share=self._request.share,
                snapshots=opened.snapshots,
                started_ns=self._progress.started_ns,
                window=self._request.policy.window,
            ),
            VerifyPlanned,
            "choose the packs",
        )
        self._progress = replace(self._progress, plan=plan)
        self._enter(Phase.EXECUTE)

    def _next_work(self) -> Work | None:
        plan, opened = self._progress.plan, self._progress.opened
        if opened is None:
            return None
        if self._progress.trees is None and not self._walking:
            self._walking = True
            return self._check_trees(opened)
        if plan is None and not self._planning:
            self._planning = True
            return self._plan(opened)
        if plan is None:
            return None
        shard = self._progress.shards_started
        if self._pacing.is_long() or self._reading >= self._window or shard >= plan.shards:
            return None
        self._progress = replace(self._progress, shards_started=shard + 1)
        self._reading += 1
        self._pacing.shard_started()
        return self._read_shard(shard)

    async def _read_shard(self, shard: int) -> None:
        verified = await self._calls.copying(
            names.VERIFY_SHARD,
            lambda: VerifyShardInput(run=self._run_ref(), shard=shard, throttle=self._control.state.throttle),
            ShardVerified,
            f"shard {shard}",
        )
        self._reading -= 1
        self._progress = replace(
            self._progress,
            shards_done=self._progress.shards_done + 1,
            totals=self._progress.totals.plus(verified.totals),
        )
        self._show()

    async def _last_words(self, ending: Ending) -> None:
        """A record that says how it ended. What it has read is in its workspace, which a resumed run goes on from."""
        await self._calls.last_words(names.LOG_VERIFY, self._record(ending), f"record: {ending.status.value}")

    def _record(self, ending: Ending) -> VerifyLogInput:
        return VerifyLogInput(
            run=self._run_ref(),
            request=replace(self._request, progress=None),
            status=ending.status,
            started_ns=self._progress.started_ns,
            ended_ns=ending.ended_ns,
            plan=self._progress.plan,
            totals=self._progress.totals,
            finished=self._finished,
            failure_kind=ending.failure_kind,
            failure_message=ending.failure_message,
        )

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
        notes = control_notes(self._control.state)
        notes += [f"Reads {self._request.share} of the repository's packs; its files here are packs."]
        trees, finished = self._progress.trees, self._finished
        if trees is not None:
            notes.append(f"Trees walked: {trees.files:,} files, {trees.problems:,} problems")
        if finished is not None:
            notes.append(
                "Sound" if finished.verdict.ok else f"DAMAGED: {finished.verdict.problems:,} problems"
            )
            if finished.mended_packs:
                notes.append(f"{finished.mended_packs:,} damaged packs were mended and removed")
        return notes


def _ending_of(finished: VerifyFinished) -> Ending:
    """A verification that found damage has failed to show what it was to show, though it took all its steps."""
    verdict, now_ns = finished.verdict, workflow.time_ns()
    if verdict.ok:
        return Ending(status=RunStatus.COMPLETE, ended_ns=now_ns)
    return Ending(
        status=RunStatus.FAILED,
        ended_ns=now_ns,
        failure_kind=DAMAGE_FOUND,
        failure_message=f"the repository is damaged: {verdict.problems:,} problems, "
        f"{finished.damaged_packs:,} packs, {finished.lost_paths:,} paths lost",
    )
