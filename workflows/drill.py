"""The drill workflow: a trial restore that is compared, checked, held against its goals, recorded, and cleaned up.

The restore is a run of its own, as the child of this one, and so is the verification that follows where it fails on
damage: that one marks what the next full backup mends. What a drill proves is worked out here, from counts and times.
"""

from typing import Final, TypeVar

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError, ChildWorkflowError, is_cancelled_exception

from holdfast.contracts import names
from holdfast.contracts.common import (
    PROGRESS_QUERY,
    RESTORE_WORKFLOW,
    Ending,
    Phase,
    Progress,
    RunInput,
    RunRef,
    Trigger,
    TriggerKind,
)
from holdfast.contracts.drill import (
    DrillChecked,
    DrillCheckInput,
    DrillFindings,
    DrillLogInput,
    DrillOpened,
    DrillRequest,
    DrillResult,
    DrillTriggerInput,
)
from holdfast.contracts.identity import part_id
from holdfast.contracts.restore import RestoreRequest, RestoreResult
from holdfast.contracts.verbs import DRILL_WORKFLOW, VERIFY_WORKFLOW
from holdfast.contracts.verify import VerifyFinished, VerifyRequest, VerifyResult
from holdfast.terms import RunKind, RunStatus, VerifyLevel
from holdfast.units import NS_PER_S, counted, format_age
from holdfast.workflows.attributes import show_run
from holdfast.workflows.children import Child, result_of
from holdfast.workflows.details import laid_out
from holdfast.workflows.failures import Failure, failure_of
from holdfast.workflows.policies import ActivityCalls
from holdfast.workflows.run_frame import FramedRun
from holdfast.workflows.run_id import attempt_id

ResultT = TypeVar("ResultT")
_SUMMARIES: Final = {"restore": "the trial restore", "verify": "look for all the damage"}
_DAMAGE: Final = frozenset(("CorruptFileError", "StoredFileMissingError", "BlobMissingError"))
MIN_SCALED_BYTES: Final = 64 << 20


@workflow.defn(name=DRILL_WORKFLOW)
class DrillWorkflow(FramedRun[DrillResult]):
    """One trial restore of one source."""

    _kind = RunKind.DRILL

    @workflow.init
    def __init__(self, request: DrillRequest) -> None:
        super().__init__(ActivityCalls(policy=request.policy))
        self._request = request
        self._run_id = attempt_id()
        self._opened: DrillOpened | None = None
        self._restored: RestoreResult | None = None
        self._restore_failure: Failure | None = None
        self._checked: DrillChecked | None = None
        self._verified: VerifyFinished | None = None
        self._findings: DrillFindings | None = None

    @workflow.run
    async def run(self, _request: DrillRequest) -> DrillResult:
        """Run to the end; a restore that fails is a finding. Fails with the error of whatever kept it from trying."""
        return await self._framed(self._drill())

    @workflow.query(name=PROGRESS_QUERY)
    def progress(self) -> Progress:
        """Where the run stands; the bytes that are restored are in the progress of its child."""
        opened, restored = self._opened, self._restored
        return Progress(
            run_id=self._run_id,
            phase=self._phase,
            status=self._status,
            selection_complete=opened is not None,
            files_total=0 if opened is None else opened.sample_files,
            files_done=0 if restored is None else restored.totals.files_written,
            bytes_total=0 if opened is None else opened.sample_bytes,
            bytes_done=0 if restored is None else restored.totals.bytes_written,
            errors=0 if restored is None else restored.totals.errors,
            snapshot_id="" if opened is None else opened.snapshot_id,
            started_ns=self._started_ns,
        )

    async def _drill(self) -> DrillResult:
        show_run(source=self._request.source or self._request.drill, status=RunStatus.RUNNING)
        self._enter(Phase.TRIGGER)
        opened = self._opened = await self._calls.lasting(
            names.TRIGGER_DRILL,
            DrillTriggerInput(run=self._run_ref(), request=self._request, started_ns=self._started_ns),
            DrillOpened,
            "draw the sample",
        )
        show_run(source=opened.source, snapshot=opened.snapshot_id)
        self._enter(Phase.EXECUTE)
        came_back = await self._restore(opened)
        self._enter(Phase.VERIFY)
        if came_back and opened.check_timeout_s:
            self._checked = await self._calls.lasting(
                names.CHECK_DRILL,
                DrillCheckInput(
                    run=self._run_ref(), drill=self._request.drill, snapshot_id=opened.snapshot_id
                ),
                DrillChecked,
                "the user's own check",
            )
        elif not came_back:
            await self._verify(opened)
        self._findings = self._judge(opened, came_back=came_back)
        ending = Ending(status=RunStatus.COMPLETE, ended_ns=workflow.time_ns())
        self._enter(Phase.LOG)
        await self._calls.quick(names.LOG_DRILL, self._record(ending), type(None), "write the record")
        await self._calls.lasting(
            names.CLEAN_DRILL, RunInput(run=self._run_ref()), type(None), "empty the scratch place"
        )
        await self._end_well(ending)
        return DrillResult(
            run_id=self._run_id,
            status=ending.status,
            findings=self._findings,
            opened=opened,
            restored=self._restored,
            restore_failure=self._restore_failure_text(),
            checked=self._checked,
            verified=self._verified,
            started_ns=self._started_ns,
            ended_ns=ending.ended_ns,
        )

    async def _restore(self, opened: DrillOpened) -> bool:
        """Whether everything that was tried came back equal."""
        request = RestoreRequest(
            repository=self._request.repository,
            selection=opened.selection,
            trigger=self._own_trigger(),
            verify=VerifyLevel.FULL,
            policy=self._request.policy,
        )
        try:
            restored = self._restored = await self._child(RESTORE_WORKFLOW, request, RestoreResult, "restore")
        except ChildWorkflowError as error:
            if is_cancelled_exception(error):
                raise
            failure = self._restore_failure = failure_of(error.cause or error)
            if failure.kind not in _DAMAGE:
                raise failure.as_workflow_failure() from error
            return False
        if restored.status is RunStatus.CANCELLED:
            raise ApplicationError(
                "the trial restore was cancelled", type="RunStateError", non_retryable=True
            )
        verdict = restored.verdict
        return restored.status is RunStatus.COMPLETE and verdict is not None and verdict.ok

    async def _verify(self, opened: DrillOpened) -> None:
        """Find all the damage to the snapshot, and mark it. That this fails too is no news."""
        request = VerifyRequest(
            repository=self._request.repository,
            selection=opened.verification,
            trigger=self._own_trigger(),
            policy=self._request.policy,
        )
        try:
            verified = await self._child(VERIFY_WORKFLOW, request, VerifyResult, "verify")
        except (ChildWorkflowError, ApplicationError) as error:
            if is_cancelled_exception(error):
                raise
            workflow.logger.warning(
                "the verification after the drill failed: %s", failure_of(error.__cause__ or error).kind
            )
            return
        self._verified = verified.finished

    async def _child(self, name: str, request: object, result: type[ResultT], what: str) -> ResultT:
        self._end_if_cancelled()
        child: Child = await workflow.start_child_workflow(
            name,
            request,
            id=part_id(workflow.info().workflow_id, what),
            result_type=RawValue,
            static_summary=_SUMMARIES[what],
            parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL,
            cancellation_type=workflow.ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
        return await result_of(child, result)

    def _judge(self, opened: DrillOpened, *, came_back: bool) -> DrillFindings:
        restored, checked = self._restored, self._checked
        data_age_ns = max(0, self._started_ns - opened.snapshot_time_ns)
        rpo_met = data_age_ns <= opened.rpo_s * NS_PER_S if opened.rpo_s else None
        if not came_back or restored is None:
            return DrillFindings(
                proven=False,
                data_age_ns=data_age_ns,
                rto_met=False if opened.rto_s else None,
                rpo_met=rpo_met,
            )
        restore_ns = max(0, restored.ended_ns - restored.started_ns)
        check_ns = 0 if checked is None else checked.duration_ns
        estimate_ns = _estimate(restore_ns, check_ns, opened)
        return DrillFindings(
            proven=checked is None or checked.ok,
            recovery_ns=restore_ns + check_ns,
            estimated_recovery_ns=estimate_ns,
            data_age_ns=data_age_ns,
            rto_met=estimate_ns <= opened.rto_s * NS_PER_S if opened.rto_s and estimate_ns else None,
            rpo_met=rpo_met,
        )

    async def _last_words(self, ending: Ending) -> None:
        """Leave nothing behind but a record that says how it ended."""
        await self._calls.last_words(names.LOG_DRILL, self._record(ending), f"record: {ending.status.value}")
        await self._calls.last_words(
            names.CLEAN_DRILL, RunInput(run=self._run_ref()), "empty the scratch place"
        )

    def _record(self, ending: Ending) -> DrillLogInput:
        return DrillLogInput(
            run=self._run_ref(),
            request=self._request,
            started_ns=self._started_ns,
            ending=ending,
            opened=self._opened,
            restored=self._restored,
            restore_failure=self._restore_failure_text(),
            checked=self._checked,
            verified=self._verified,
            findings=self._findings,
        )

    def _restore_failure_text(self) -> str:
        return "" if self._restore_failure is None else self._restore_failure.message

    def _own_trigger(self) -> Trigger:
        return Trigger(kind=TriggerKind.SERVICE, by="drill", evidence=self._run_id)

    def _run_ref(self) -> RunRef:
        source = self._request.source if self._opened is None else self._opened.source
        return RunRef(run_id=self._run_id, repository=self._request.repository, source=source)

    @property
    def _tells(self) -> bool:
        return self._opened is None or self._opened.tell

    def _show(self) -> None:
        head = f"**{self._phase.value.capitalize()}: {self._status.value}**"
        workflow.set_current_details(laid_out(head, self._lines()))

    def _lines(self) -> list[str]:
        lines: list[str] = []
        opened, restored, found = self._opened, self._restored, self._findings
        if opened is not None:
            lines.append(
                f"Trial restore of {opened.sample} of snapshot `{opened.snapshot_id[:8]}`, seed `{opened.seed}`"
            )
        if restored is not None:
            lines.append(
                f"{counted(restored.totals.files_written, 'file')} restored, {counted(restored.totals.errors, 'error')}"
            )
        if found is not None:
            lines.append("**Proven restorable**" if found.proven else "**NOT PROVEN RESTORABLE**")
            if found.estimated_recovery_ns:
                lines.append(f"Recovery {format_age(found.estimated_recovery_ns)}{_met(found.rto_met)}")
            lines.append(f"Data {format_age(found.data_age_ns)} old{_met(found.rpo_met)}")
        return lines


def _estimate(restore_ns: int, check_ns: int, opened: DrillOpened) -> int:
    """Estimate how long everything would take, from how long the sample took; 0 when that says nothing.

    A restore has costs that do not grow with its size, so only samples that are large enough are scaled.
    """
    if not opened.bytes_of_all or opened.sample_bytes == opened.bytes_of_all:
        return restore_ns + check_ns
    if opened.sample_bytes < MIN_SCALED_BYTES:
        return 0
    return restore_ns * opened.bytes_of_all // opened.sample_bytes + check_ns


def _met(goal: bool | None) -> str:  # noqa: FBT001 - the answer to a question, not a switch
    return {None: "", True: " (goal met)", False: " (GOAL MISSED)"}[goal]
