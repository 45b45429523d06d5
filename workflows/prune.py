"""The prune workflow: mark, plan, ask, repack, switch, delete (docs/retention.md).

Marking, repacking and deleting go on in shards, one stage after the other. Between repacking and deleting comes the
short part, which needs the exclusive lock: it is waited for, for days if need be, and when no other program holds a
lock, runs of ours are asked to stand aside (docs/adr/0053).

An approval is an update with a name and a reason, refused where nothing waits for it, and the wait has an end.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from holdfast.contracts import names
from holdfast.contracts.common import PROGRESS_QUERY, Ending, Phase, Progress, RunInput
from holdfast.contracts.control import REFUSED
from holdfast.contracts.guard import APPROVE_UPDATE, Approval
from holdfast.contracts.prune import (
    APPROVAL_QUERY,
    LocksSeen,
    LockWait,
    MarkedSeen,
    PruneLogInput,
    PruneOpened,
    PrunePlanned,
    PruneProgress,
    PruneRequest,
    PruneResult,
    PruneStage,
    PruneStatus,
    PruneTotals,
    PruneTriggerInput,
    Switched,
    SwitchTried,
)
from holdfast.contracts.runs import PagePlanned, SelectInput, ShardInput
from holdfast.contracts.verbs import PRUNE_WORKFLOW
from holdfast.contracts.waiting import WaitsFor
from holdfast.terms import RunKind, RunStatus
from holdfast.units import NS_PER_S, counted, format_age, format_bytes
from holdfast.workflows.details import control_notes
from holdfast.workflows.run_id import attempt_id, run_id_of
from holdfast.workflows.sharded_run import ShardedRun

_ASK_AGAIN_S: Final = 900
"""Runs are asked to stand aside again after so long, where a lock of ours stayed the last time."""
_LOOK_S: Final = 600
"""A wait for a moment is looked at after so long at the latest."""
_WATCH_S: Final = 300
"""What a snapshot uses of marked packs goes back into the index after so long at the latest."""
_STEPS: Final = {
    PruneStage.MARK: names.MARK_PRUNE,
    PruneStage.REPACK: names.REPACK_PRUNE,
    PruneStage.DELETE: names.DELETE_PRUNE,
}


@workflow.defn(name=PRUNE_WORKFLOW)
class PruneWorkflow(ShardedRun[PruneResult, PruneRequest, PruneProgress]):
    """One prune of one repository."""

    _kind = RunKind.PRUNE
    _log = names.LOG_PRUNE

    @workflow.init
    def __init__(self, request: PruneRequest) -> None:
        self._waits_for = ""
        self._waits_kind: WaitsFor | None = None
        self._expires_ns = 0
        self._refused = ""
        progress = request.progress or PruneProgress(
            run_id=run_id_of(request.resume_run), started_ns=workflow.time_ns()
        )
        super().__init__(request, progress)

    @workflow.run
    async def run(self, _request: PruneRequest) -> PruneResult:
        """Run to the end. Fails with the type and message of an error that no retry helps.

        A run that was cancelled through the update or signal ends with a result that says so.
        """
        return await self._framed(self._prune())

    @workflow.query(name=PROGRESS_QUERY)
    def progress(self) -> Progress:
        """Where the run stands; its files are the packs that go."""
        plan, switched, totals = self._progress.plan, self._progress.switched, self._progress.totals
        plan_packs = 0 if plan is None else plan.drop_packs + plan.repack_packs
        counts = Progress(
            run_id=attempt_id(),
            phase=self._phase,
            selection_complete=plan is not None,
            files_total=plan_packs if switched is None else switched.packs,
            files_done=totals.deleted_packs + totals.spared_packs + totals.left_packs,
            bytes_total=0 if plan is None else plan.bytes_to_move,
            bytes_done=totals.bytes_read,
            shards_total=self._progress.shards_planned,
            shards_done=self._progress.shards_done,
            errors=totals.damaged_blobs,
        )
        standing = self._standing_at(counts)
        if standing.waits_kind is not None:
            return standing
        return replace(standing, waits_for=self._waits_for, waits_kind=self._waits_kind)

    def _standing_at(self, counts: Progress) -> Progress:
        return self._standing(
            counts, moved=counts.bytes_done, to_move=counts.bytes_total if self._progress.plan else None
        )

    @workflow.update(name=APPROVE_UPDATE)
    def approve(self, approval: Approval) -> PruneStatus:
        """Decide about the plan."""
        self._progress = replace(self._progress, approved=approval)
        return self.approval()

    @approve.validator
    def check_approve(self, approval: Approval) -> None:
        """Refuse what is not on record with a name and a reason, and what nobody waits for."""
        wrong = approval.wrong or ("" if self._waits_for_approval else "nothing waits for approval")
        if wrong:
            raise ApplicationError(wrong, type=REFUSED)

    @workflow.query(name=APPROVAL_QUERY)
    def approval(self) -> PruneStatus:
        """Answer what waits for approval, and the plan."""
        plan = self._progress.plan
        waits = self._waits_for_approval and plan is not None
        return PruneStatus(
            run_id=attempt_id(),
            waiting=plan.ask if plan is not None and waits else "",
            expires_ns=self._expires_ns if waits else 0,
            plan=plan,
        )

    @property
    def _waits_for_approval(self) -> bool:
        return bool(self._expires_ns) and self._progress.approved is None

    async def _prune(self) -> PruneResult:
        opened = await self._open(
            names.TRIGGER_PRUNE,
            PruneTriggerInput(run=self._run_ref(), request=self._asked, started_ns=self._progress.started_ns),
            PruneOpened,
        )
        if self._progress.stage is PruneStage.MARK:
            await self._plan_and_move()
            plan = await self._plan()
            if plan.is_empty or self._request.dry_run or not await self._is_approved(plan, opened):
                return await self._end()
            self._begin_stage(PruneStage.REPACK)
        if self._progress.stage is PruneStage.REPACK:
            await self._plan_and_move()
            await self._switch(opened)
            self._begin_stage(PruneStage.DELETE)
        await self._plan_and_move()
        return await self._end()

    async def _plan(self) -> PrunePlanned:
        plan = self._progress.plan
        if plan is None:
            message = RunInput(run=self._run_ref())
            plan = await self._calls.lasting(names.PLAN_PRUNE, message, PrunePlanned, "decide what goes")
            self._progress = replace(self._progress, plan=plan)
            self._show()
        return plan

    async def _is_approved(self, plan: PrunePlanned, opened: PruneOpened) -> bool:
        """Whether the plan may be carried out; waits for a person, where it asks for one."""
        if not plan.ask:
            return True
        if self._progress.approved is None:
            self._expires_ns = workflow.time_ns() + round(opened.approval_s * NS_PER_S)
            self._wait_for(WaitsFor.APPROVAL, plan.ask)
            try:
                await workflow.wait_condition(
                    lambda: self._progress.approved is not None, timeout=timedelta(seconds=opened.approval_s)
                )
            except TimeoutError:
                self._refused = "nobody approved it in time"
            self._expires_ns = 0
            self._wait_for(None)
            await workflow.wait_condition(workflow.all_handlers_finished)
        approved = self._progress.approved
        if approved is not None and not approved.grant:
            self._refused = f"{approved.by} decided against it: {approved.reason}"
        return not self._refused

    async def _switch(self, opened: PruneOpened) -> None:
        """Have the index name no more what goes, in a moment of our own; or, where none comes for days, by marks."""
        if not self._progress.waiting_ns:
            self._progress = replace(self._progress, waiting_ns=workflow.time_ns())
        until_ns = self._progress.waiting_ns + round(opened.wait_s * NS_PER_S)
        switched = None if self._progress.marked else await self._switch_alone(until_ns)
        self._progress = replace(
            self._progress, switched=switched or await self._switch_by_marks(opened.keep_marked_s)
        )
        self._wait_for(None)

    async def _switch_alone(self, until_ns: int) -> Switched | None:
        """Wait for a moment without locks of other programs, then have runs of ours stand; None where none came.

        A lock of ours that stayed all the same belongs to a process that cannot hand it over now. Until it has gone,
        runs are asked again only now and then: each time costs them seconds.
        """
        holders: tuple[str, ...] = ()
        while workflow.time_ns() <= until_ns:
            seen = await self._look(holders, until_ns)
            holders = seen.holders
            if not holders:
                tried = await self._calls.lasting(
                    names.SWITCH_PRUNE, RunInput(run=self._run_ref()), SwitchTried, "replace the index files"
                )
                if tried.switched is not None:
                    return tried.switched
                holders = tried.holders
                self._progress = replace(self._progress, stayed=tried.stayed, asked_ns=workflow.time_ns())
            self._wait_for_locks(holders)
            if self._is_long():
                self._continue_as_new()
        return None

    async def _switch_by_marks(self, keep_s: float) -> Switched:
        """Have packs marked, and look at them until they can be deleted: after keep_s at the soonest."""
        self._progress = replace(self._progress, marked=True)
        while True:
            self._steps_begun += 1
            seen = await self._calls.lasting(
                names.WATCH_PRUNE, RunInput(run=self._run_ref()), MarkedSeen, "look at the marked packs"
            )
            if seen.switched is not None:
                return seen.switched
            if seen.standing:
                self._wait_for(WaitsFor.LOCK, f"those who may rely on marked packs: {seen.standing[0]}")
            else:
                kept = format_age(round(keep_s * NS_PER_S))
                self._wait_for(WaitsFor.TIME, f"packs have to stay marked for {kept}")
            if self._is_long():
                self._continue_as_new()
            await workflow.sleep(timedelta(seconds=min(_WATCH_S, keep_s)))

    async def _look(self, known: tuple[str, ...], until_ns: int) -> LocksSeen:
        """The holders of locks for which runs of ours need not stand; answered when these are others, or none, or when
        the wait is over."""
        again_ns = self._progress.asked_ns + _ASK_AGAIN_S * NS_PER_S
        stayed = self._progress.stayed if workflow.time_ns() < again_ns else ()
        self._steps_begun += 1
        return await self._calls.lasting(
            names.WAIT_PRUNE,
            LockWait(
                run=self._run_ref(),
                stayed=stayed,
                known=known,
                within_s=min(_LOOK_S, max(0.0, (until_ns - workflow.time_ns()) / NS_PER_S)),
            ),
            LocksSeen,
            "wait for a moment without locks of others",
        )

    def _wait_for_locks(self, holders: tuple[str, ...]) -> None:
        more = f" and {len(holders) - 1:,} more" if len(holders) > 1 else ""
        if holders:
            self._wait_for(WaitsFor.LOCK, f"{holders[0]}{more}")
        else:
            self._wait_for(None)

    def _wait_for(self, kind: WaitsFor | None, what: str = "") -> None:
        self._waits_kind, self._waits_for = kind, what
        self._show()

    async def _plan_page(self, message: SelectInput) -> PagePlanned:
        """The shards of a stage are known when it begins."""
        del message
        opened, plan, switched = self._progress.opened, self._progress.plan, self._progress.switched
        known = {PruneStage.MARK: opened, PruneStage.REPACK: plan, PruneStage.DELETE: switched}
        stage = known[self._progress.stage]
        return PagePlanned(shards=0 if stage is None else stage.shards, last=True)

    async def _move(self, message: Callable[[], ShardInput], summary: str) -> None:
        stage = self._progress.stage
        done = await self._calls.copying(_STEPS[stage], message, PruneTotals, f"{stage.value}, {summary}")
        self._progress = replace(self._progress, totals=self._progress.totals.plus(done))

    def _begin_stage(self, stage: PruneStage) -> None:
        self._progress = replace(
            self._progress,
            stage=stage,
            pages_done=0,
            selection_complete=False,
            shards_planned=0,
            shards_started=0,
            shards_done=0,
        )

    async def _end(self) -> PruneResult:
        """Record how it went, and remove the workspace."""
        is_whole = not self._refused and not self._progress.totals.damaged_blobs
        status = RunStatus.COMPLETE if is_whole else RunStatus.PARTIAL
        ending = Ending(status=status, ended_ns=workflow.time_ns())
        self._enter(Phase.LOG)
        record = replace(self._record(ending), close=True)
        await self._calls.quick(names.LOG_PRUNE, record, type(None), "write the record, and close the run")
        await self._end_well(ending)
        return self._result(ending)

    def _result(self, ending: Ending) -> PruneResult:
        progress = self._progress
        return PruneResult(
            run_id=attempt_id(),
            status=ending.status,
            began=progress.run_id if progress.run_id != attempt_id() else "",
            started_ns=progress.started_ns,
            ended_ns=ending.ended_ns,
            dry_run=self._request.dry_run,
            refused=self._refused,
            plan=progress.plan,
            switched=progress.switched,
            totals=progress.totals,
        )

    @property
    def _asked(self) -> PruneRequest:
        return replace(self._request, progress=None)

    @property
    def _subject(self) -> str:
        return ""

    def _record(self, ending: Ending) -> PruneLogInput:
        return PruneLogInput(
            run=self._run_ref(),
            request=self._asked,
            progress=self._progress,
            ending=ending,
            decided=self._decided,
        )

    @property
    def _decided(self) -> str:
        approved = self._progress.approved
        if approved is None or self._refused:
            return self._refused
        return f"approved by {approved.by}: {approved.reason}"

    def _notes(self) -> list[str]:
        notes = control_notes(self._control.state)
        notes += [f"Stage: {self._progress.stage.value}; its files here are packs"]
        if self._waits_kind is not None:
            notes.append(f"**Waits** ({self._waits_kind.words}): {self._waits_for}")
        plan, switched = self._progress.plan, self._progress.switched
        if plan is not None:
            notes.append(
                f"Plan: {counted(plan.drop_packs, 'pack goes', 'packs go')}, "
                f"{counted(plan.repack_packs, 'is', 'are')} repacked "
                f"({format_bytes(plan.bytes_to_move)} are copied); {format_bytes(plan.bytes_freed)} are freed"
            )
        if switched is not None:
            notes.append(
                f"The short part took {switched.stood_ms / 1000:.1f} s, {counted(switched.runs, 'run')} stood aside"
            )
        return notes
