"""The verify workflow takes these steps: trigger, plan, read shards while the trees are walked, finish, log.

Of a whole repository, the packs are chosen, and read in a sliding window, while one activity walks the trees. Of
chosen snapshots, the walk comes first, because it says which packs they need. The last step knows what all of it comes
to: it marks damaged blobs, follows them to snapshots and paths, and lets go of packs that a backup has mended.
"""

from collections.abc import Callable
from dataclasses import replace

from temporalio import workflow

from holdfast.contracts import names
from holdfast.contracts.common import PROGRESS_QUERY, Ending, Phase, Progress, RunInput
from holdfast.contracts.runs import SelectInput, ShardInput
from holdfast.contracts.verbs import VERIFY_WORKFLOW
from holdfast.contracts.verify import (
    DAMAGE_FOUND,
    TreesChecked,
    VerifyFinished,
    VerifyLogInput,
    VerifyOpened,
    VerifyPlanInput,
    VerifyPlanned,
    VerifyProgress,
    VerifyRequest,
    VerifyResult,
    VerifyTotals,
    VerifyTriggerInput,
)
from holdfast.terms import RunKind, RunStatus
from holdfast.units import counted
from holdfast.workflows.details import control_notes
from holdfast.workflows.run_id import attempt_id, run_id_of
from holdfast.workflows.sharded_run import ShardedRun
from holdfast.workflows.window import Work


@workflow.defn(name=VERIFY_WORKFLOW)
class VerifyWorkflow(ShardedRun[VerifyResult, VerifyRequest, VerifyProgress]):
    """One verification of one repository, or of some of its snapshots."""

    _kind = RunKind.VERIFY
    _log = names.LOG_VERIFY

    @workflow.init
    def __init__(self, request: VerifyRequest) -> None:
        self._walking = False
        self._finished: VerifyFinished | None = None
        progress = request.progress or VerifyProgress(
            run_id=run_id_of(request.resume_run), started_ns=workflow.time_ns()
        )
        super().__init__(request, progress)

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
        opened = await self._open(
            names.TRIGGER_VERIFY,
            VerifyTriggerInput(
                run=self._run_ref(), request=self._request, started_ns=self._progress.started_ns
            ),
            VerifyOpened,
        )
        if opened.snapshots and self._progress.trees is None:
            self._enter(Phase.SELECT)
            await self._check_trees()
        await self._plan_and_move()
        self._enter(Phase.VERIFY)
        self._finished = await self._calls.lasting(
            names.FINISH_VERIFY,
            RunInput(run=self._run_ref()),
            VerifyFinished,
            "diagnose, mark, mend",
        )
        ending = _ending_of(self._finished)
        self._enter(Phase.LOG)
        record = replace(self._record(ending), close=True)
        await self._calls.quick(names.LOG_VERIFY, record, type(None), "write the record")
        await self._end_well(ending)
        return self._result(ending)

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

    def _next_work(self) -> Work | None:
        if self._progress.trees is None and not self._walking:
            self._walking = True
            return self._check_trees()
        return super()._next_work()

    async def _check_trees(self) -> None:
        message = RunInput(run=self._run_ref())
        checked = await self._calls.lasting(names.CHECK_TREES, message, TreesChecked, "walk the trees")
        self._progress = replace(self._progress, trees=checked)
        self._show()

    async def _plan_page(self, message: SelectInput) -> VerifyPlanned:
        wanted = VerifyPlanInput(
            run=message.run,
            share=self._request.share,
            started_ns=self._progress.started_ns,
            window=self._request.policy.window,
        )
        plan = await self._calls.quick(names.PLAN_VERIFY, wanted, VerifyPlanned, "choose the packs")
        self._progress = replace(self._progress, plan=plan)
        return plan

    async def _move(self, message: Callable[[], ShardInput], summary: str) -> None:
        verified = await self._calls.copying(names.VERIFY_SHARD, message, VerifyTotals, summary)
        self._progress = replace(self._progress, totals=self._progress.totals.plus(verified))

    @property
    def _subject(self) -> str:
        return self._request.selection

    def _record(self, ending: Ending) -> VerifyLogInput:
        return VerifyLogInput(
            run=self._run_ref(),
            request=replace(self._request, progress=None),
            progress=self._progress,
            ending=ending,
            finished=self._finished,
        )

    def _notes(self) -> list[str]:
        notes = control_notes(self._control.state)
        notes += [f"Reads {self._request.share} of the repository's packs; its files here are packs."]
        trees, finished = self._progress.trees, self._finished
        if trees is not None:
            notes.append(
                f"Trees walked: {counted(trees.files, 'file')}, {counted(trees.problems, 'problem')}"
            )
        if finished is not None:
            notes.append(
                "Sound"
                if finished.verdict.ok
                else f"DAMAGED: {counted(finished.verdict.problems, 'problem')}"
            )
            if finished.mended_packs:
                notes.append(
                    f"{counted(finished.mended_packs, 'damaged pack was', 'damaged packs were')} mended and removed"
                )
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
        failure_message=f"the repository is damaged: {counted(verdict.problems, 'problem')}, "
        f"{counted(finished.damaged_packs, 'pack')}, {counted(finished.lost_paths, 'path')} lost",
    )
