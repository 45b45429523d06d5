"""The repair workflow takes these steps: trigger, plan, look at shards, change what is wrong, log.

The steps that look may run beside anything. The one that changes waits for the exclusive lock: as a temporary error, so
for as long as it takes, and the run says what it waits for.
"""

from collections.abc import Callable
from dataclasses import replace

from temporalio import workflow

from holdfast.contracts.common import PROGRESS_QUERY, Ending, Phase, Progress, RunInput
from holdfast.contracts.repair import (
    FINISH_REPAIR,
    LOG_REPAIR,
    PLAN_REPAIR,
    REPAIR_SHARD,
    TRIGGER_REPAIR,
    RepairFinished,
    RepairLogInput,
    RepairOpened,
    RepairPlanned,
    RepairProgress,
    RepairRequest,
    RepairResult,
    RepairTotals,
    RepairTriggerInput,
)
from holdfast.contracts.runs import SelectInput, ShardInput
from holdfast.contracts.verbs import REPAIR_WORKFLOW
from holdfast.terms import RunKind, RunStatus
from holdfast.workflows.details import control_notes
from holdfast.workflows.run_id import attempt_id, run_id_of
from holdfast.workflows.sharded_run import ShardedRun


@workflow.defn(name=REPAIR_WORKFLOW)
class RepairWorkflow(ShardedRun[RepairResult, RepairRequest, RepairProgress]):
    """One repair of one repository."""

    _kind = RunKind.REPAIR
    _log = LOG_REPAIR

    @workflow.init
    def __init__(self, request: RepairRequest) -> None:
        self._finished: RepairFinished | None = None
        progress = request.progress or RepairProgress(
            run_id=run_id_of(request.resume_run), started_ns=workflow.time_ns()
        )
        super().__init__(request, progress)

    @workflow.run
    async def run(self, _request: RepairRequest) -> RepairResult:
        """Run to the end. Fails with the type and message of an error that no retry helps.

        A run that was cancelled through the update or signal ends with a result that says so.
        """
        return await self._framed(self._repair())

    @workflow.query(name=PROGRESS_QUERY)
    def progress(self) -> Progress:
        """Where the run stands; its files are packs, or snapshots, and its bytes those of packs that are read whole."""
        plan, totals = self._progress.plan, self._progress.totals
        bytes_total = 0 if plan is None else plan.bytes_total
        counts = Progress(
            run_id=attempt_id(),
            phase=self._phase,
            selection_complete=plan is not None,
            files_total=0 if plan is None else plan.things,
            files_done=totals.things,
            bytes_total=bytes_total,
            bytes_done=min(totals.bytes_read, bytes_total),
            shards_total=0 if plan is None else plan.shards,
            shards_done=self._progress.shards_done,
            errors=totals.damaged,
        )
        return self._standing(counts, moved=counts.bytes_done, to_move=bytes_total or None)

    async def _repair(self) -> RepairResult:
        await self._open(
            TRIGGER_REPAIR,
            RepairTriggerInput(
                run=self._run_ref(), request=self._request, started_ns=self._progress.started_ns
            ),
            RepairOpened,
        )
        await self._plan_and_move()
        self._enter(Phase.VERIFY)
        self._finished = await self._calls.lasting(
            FINISH_REPAIR, RunInput(run=self._run_ref()), RepairFinished, "change what is wrong"
        )
        status = RunStatus.COMPLETE if self._finished.is_whole else RunStatus.PARTIAL
        ending = Ending(status=status, ended_ns=workflow.time_ns())
        self._enter(Phase.LOG)
        record = replace(self._record(ending), close=True)
        await self._calls.quick(LOG_REPAIR, record, type(None), "write the record")
        await self._end_well(ending)
        return self._result(ending)

    def _result(self, ending: Ending) -> RepairResult:
        opened = self._progress.opened
        return RepairResult(
            run_id=attempt_id(),
            status=ending.status,
            finished=self._finished,
            started_ns=self._progress.started_ns,
            ended_ns=ending.ended_ns,
            what=None if opened is None else opened.what,
            dry_run=opened is not None and opened.dry_run,
        )

    async def _plan_page(self, message: SelectInput) -> RepairPlanned:
        asked = RunInput(run=message.run)
        plan = await self._calls.lasting(PLAN_REPAIR, asked, RepairPlanned, "choose what is looked at")
        self._progress = replace(self._progress, plan=plan)
        return plan

    async def _move(self, message: Callable[[], ShardInput], summary: str) -> None:
        looked = await self._calls.copying(REPAIR_SHARD, message, RepairTotals, summary)
        self._progress = replace(self._progress, totals=self._progress.totals.plus(looked))

    @property
    def _subject(self) -> str:
        return self._request.selection

    def _record(self, ending: Ending) -> RepairLogInput:
        return RepairLogInput(
            run=self._run_ref(),
            request=replace(self._request, progress=None),
            progress=self._progress,
            ending=ending,
            finished=self._finished,
        )

    def _notes(self) -> list[str]:
        notes = control_notes(self._control.state)
        opened, totals = self._progress.opened, self._progress.totals
        if opened is not None:
            how = "Looks at" if opened.dry_run else "Repairs"
            notes.append(
                f"{how} the repository's {opened.what.value}; its files here are packs or snapshots."
            )
        if totals.damaged:
            notes.append(f"Damaged: {totals.damaged:,}")
        return notes
