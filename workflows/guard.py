"""The guard: compare a source with its newest snapshot, and by its policy report, ask, or restore what is missing.

A file that is there is never overwritten without approval. While the source as a whole looks wrong (a root is gone,
much of it changed or turned into noise), nothing is restored without approval either: an unmounted file system is no
loss, and what ransomware still works on is better restored elsewhere.

An approval is an update with a name and a reason, refused where nothing waits for it, and the wait has an end.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.exceptions import ApplicationError, ChildWorkflowError, is_cancelled_exception

from holdfast.contracts import identity
from holdfast.contracts.common import RESTORE_WORKFLOW, Ending, RunRef, Trigger, TriggerKind
from holdfast.contracts.control import REFUSED
from holdfast.contracts.guard import (
    APPROVE_UPDATE,
    COMPARE_ACTIVITY,
    GUARD_QUERY,
    LOG_GUARD_ACTIVITY,
    Approval,
    CompareInput,
    Decision,
    GuardFound,
    GuardLogInput,
    GuardRequest,
    GuardResult,
    GuardStatus,
    Part,
)
from holdfast.contracts.restore import RestoreRequest, RestoreResult
from holdfast.contracts.verbs import GUARD_WORKFLOW
from holdfast.contracts.waiting import WaitsFor
from holdfast.terms import RunKind, RunStatus, VerifyLevel
from holdfast.units import NS_PER_S
from holdfast.workflows.attributes import show_run
from holdfast.workflows.children import result_of, start_run
from holdfast.workflows.details import laid_out
from holdfast.workflows.policies import ActivityCalls
from holdfast.workflows.run_frame import FramedRun
from holdfast.workflows.run_id import attempt_id

_BUSY_S: Final = 5


@workflow.defn(name=GUARD_WORKFLOW)
class GuardWorkflow(FramedRun[GuardResult]):
    """One look at one source."""

    _kind = RunKind.GUARD

    @workflow.init
    def __init__(self, request: GuardRequest) -> None:
        super().__init__(ActivityCalls(policy=request.policy))
        self._request = request
        self._run_id = attempt_id()
        self._host = identity.parse_workflow_id(workflow.info().workflow_id).host
        self._found: GuardFound | None = None
        self._waiting: dict[Part, str] = {}
        self._expires_ns = 0
        self._approvals: dict[Part, Approval] = {}
        self._decisions: list[Decision] = []

    @workflow.run
    async def run(self, request: GuardRequest) -> GuardResult:
        """Compare, decide, and see it through."""
        show_run(source=request.source, status=RunStatus.RUNNING)
        return await self._framed(self._guard())

    @workflow.update(name=APPROVE_UPDATE)
    def approve(self, approval: Approval) -> GuardStatus:
        """Decide about what waits."""
        parts = tuple(self._waiting) if approval.part is Part.ALL else (approval.part,)
        self._approvals |= dict.fromkeys(parts, approval)
        status = self.status()
        return replace(status, waiting=tuple(part for part in status.waiting if part not in parts))

    @approve.validator
    def check_approval(self, approval: Approval) -> None:
        """Refuse what is not on record with a name and a reason, and what nobody waits for."""
        if approval.wrong:
            raise ApplicationError(approval.wrong, type=REFUSED)
        open_parts = [part for part in self._waiting if part not in self._approvals]
        if not open_parts:
            raise ApplicationError("nothing waits for approval", type=REFUSED)
        if approval.part is not Part.ALL and approval.part not in open_parts:
            waiting = ", ".join(open_parts)
            raise ApplicationError(
                f"{approval.part.value} does not wait for approval, but {waiting}", type=REFUSED
            )

    @workflow.query(name=GUARD_QUERY)
    def status(self) -> GuardStatus:
        """Answer what was found, and what waits for approval."""
        waiting = tuple(part.value for part in self._waiting if part not in self._approvals)
        return GuardStatus(
            run_id=self._run_id,
            found=self._found,
            waiting=waiting,
            expires_ns=self._expires_ns if waiting else 0,
        )

    async def _guard(self) -> GuardResult:
        self._found = found = await self._calls.lasting(
            COMPARE_ACTIVITY,
            CompareInput(run=self._run_ref(), request=self._request, started_ns=self._started_ns),
            GuardFound,
            "compare with the newest snapshot",
        )
        await self._settle(found)
        is_good = all(decision.outcome == "restored" for decision in self._decisions) and not found.alarm
        status = RunStatus.COMPLETE if is_good else RunStatus.PARTIAL
        ending = Ending(status=status, ended_ns=workflow.time_ns())
        await self._calls.quick(
            LOG_GUARD_ACTIVITY, self._record(found, ending), type(None), "write the record"
        )
        await workflow.wait_condition(workflow.all_handlers_finished)
        await self._end_well(ending)
        return GuardResult(run_id=self._run_id, status=status, found=found, decisions=tuple(self._decisions))

    async def _last_words(self, ending: Ending) -> None:
        """Leave a record that says how it ended, once the comparison has begun one."""
        if self._found is not None:
            record = self._record(self._found, ending)
            await self._calls.last_words(LOG_GUARD_ACTIVITY, record, f"record: {ending.status.value}")

    def _record(self, found: GuardFound, ending: Ending) -> GuardLogInput:
        return GuardLogInput(
            run=self._run_ref(),
            request=self._request,
            found=found,
            started_ns=self._started_ns,
            ending=ending,
            decisions=tuple(self._decisions),
        )

    async def _settle(self, found: GuardFound) -> None:
        """Restore what may be restored at once; ask about the rest, and wait for the answers."""
        waiting: dict[Part, str] = {}
        for part, selection, policy in (
            (Part.MISSING, found.missing_selection, found.on_missing),
            (Part.DAMAGED, found.damaged_selection, found.on_damaged),
        ):
            if not selection:
                continue
            if policy == "report":
                self._decisions.append(Decision(part=part, outcome="reported"))
            elif policy == "restore" and part is Part.MISSING and not found.alarm:
                await self._restore(part, selection, by="policy", reason='on_missing = "restore"')
            else:
                waiting[part] = selection
        self._expires_ns = workflow.time_ns() + round(found.approval_s * NS_PER_S)
        self._waiting |= waiting
        self._show()
        await self._wait_for_approvals()

    async def _wait_for_approvals(self) -> None:
        while self._waiting:
            left_s = (self._expires_ns - workflow.time_ns()) / NS_PER_S
            try:
                await workflow.wait_condition(
                    lambda: bool(self._approvals), timeout=timedelta(seconds=max(0.0, left_s))
                )
            except TimeoutError:
                self._decisions += [Decision(part=part, outcome="expired") for part in self._waiting]
                self._waiting.clear()
                return
            for part, approval in list(self._approvals.items()):
                selection = self._waiting.pop(part)
                del self._approvals[part]
                if approval.grant:
                    await self._restore(part, selection, by=approval.by, reason=approval.reason)
                else:
                    refused = Decision(part=part, outcome="refused", by=approval.by, reason=approval.reason)
                    self._decisions.append(refused)
            self._show()

    async def _restore(self, part: Part, selection: str, *, by: str, reason: str) -> None:
        request = RestoreRequest(
            repository=self._request.repository,
            selection=selection,
            trigger=Trigger(
                kind=TriggerKind.EVENT, by=by, evidence=f"guard of {self._request.source}: {reason}"
            ),
            verify=VerifyLevel.FULL,
            policy=self._request.policy,
        )
        workflow_id = identity.workflow_id(RunKind.RESTORE, self._host, self._request.repository, selection)
        self._end_if_cancelled()
        summary = f"restore of what is {part.value}"
        child = await start_run(RESTORE_WORKFLOW, request, workflow_id, summary=summary)
        while child is None:
            await workflow.sleep(timedelta(seconds=_BUSY_S))
            child = await start_run(RESTORE_WORKFLOW, request, workflow_id, summary=summary)
        try:
            result = await result_of(child, RestoreResult)
        except (ChildWorkflowError, ApplicationError) as error:
            if is_cancelled_exception(error):
                raise
            self._decisions.append(Decision(part=part, outcome="failed", by=by, reason=reason))
            return
        verified = result.verdict is None or result.verdict.ok
        outcome = "restored" if result.status is RunStatus.COMPLETE and verified else "failed"
        self._decisions.append(
            Decision(
                part=part,
                outcome=outcome,
                by=by,
                reason=reason,
                restore_run=result.run_id,
                files_written=result.totals.files_written,
            )
        )

    def _run_ref(self) -> RunRef:
        return RunRef(run_id=self._run_id, repository=self._request.repository, source=self._request.source)

    def _show(self) -> None:
        found = self._found
        if found is None:
            return
        head = f"**{found.missing:,} missing, {found.damaged:,} damaged, {found.noise:,} turned into noise**"
        lines = [f"**Alarm**: {found.alarm}"] if found.alarm else []
        waiting = [part.value for part in self._waiting if part not in self._approvals]
        if waiting:
            lines.append(f"**Waits** ({WaitsFor.APPROVAL.words}): {', '.join(waiting)}")
        lines += [f"{decision.part.value}: {decision.outcome} {decision.by}" for decision in self._decisions]
        workflow.set_current_details(laid_out(head, lines))
