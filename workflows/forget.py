"""The forget workflow: decide what goes, put it into the bin, log. What was decided is seen through."""

from temporalio import workflow

from holdfast.contracts import names
from holdfast.contracts.common import PROGRESS_QUERY, Ending, Phase, Progress, RunInput, RunRef
from holdfast.contracts.forget import (
    ForgetLogInput,
    ForgetOpened,
    ForgetRequest,
    ForgetResult,
    ForgetTriggerInput,
    Forgotten,
)
from holdfast.contracts.verbs import FORGET_WORKFLOW
from holdfast.terms import RunKind, RunStatus
from holdfast.units import counted
from holdfast.workflows.attributes import show_run
from holdfast.workflows.details import laid_out
from holdfast.workflows.policies import ActivityCalls
from holdfast.workflows.run_frame import FramedRun
from holdfast.workflows.run_id import attempt_id


@workflow.defn(name=FORGET_WORKFLOW)
class ForgetWorkflow(FramedRun[ForgetResult]):
    """One forgetting in one repository."""

    _kind = RunKind.FORGET

    @workflow.init
    def __init__(self, request: ForgetRequest) -> None:
        super().__init__(ActivityCalls(policy=request.policy))
        self._request = request
        self._run_id = attempt_id()
        self._opened: ForgetOpened | None = None
        self._done: Forgotten | None = None

    @workflow.run
    async def run(self, _request: ForgetRequest) -> ForgetResult:
        """Run to the end. Fails with the type and message of an error that no retry helps; then some may be forgotten,
        and are in the bin."""
        return await self._framed(self._forget())

    @workflow.query(name=PROGRESS_QUERY)
    def progress(self) -> Progress:
        """Where the run stands; its files are snapshots."""
        opened, done = self._opened, self._done
        return Progress(
            run_id=self._run_id,
            phase=self._phase,
            status=self._status,
            selection_complete=opened is not None,
            files_total=0 if opened is None else opened.going,
            files_done=0 if done is None else done.forgotten,
            started_ns=self._started_ns,
        )

    async def _forget(self) -> ForgetResult:
        show_run(source=self._request.source, status=RunStatus.RUNNING)
        self._enter(Phase.TRIGGER)
        opened = self._opened = await self._calls.lasting(
            names.TRIGGER_FORGET,
            ForgetTriggerInput(run=self._run_ref(), request=self._request, started_ns=self._started_ns),
            ForgetOpened,
            "decide what goes",
        )
        self._enter(Phase.EXECUTE)
        done = self._done = await self._calls.lasting(
            names.FORGET_SNAPSHOTS, RunInput(run=self._run_ref()), Forgotten, "put it into the bin"
        )
        status = RunStatus.PARTIAL if done.spared else RunStatus.COMPLETE
        ending = Ending(status=status, ended_ns=workflow.time_ns())
        self._enter(Phase.LOG)
        await self._calls.quick(names.LOG_FORGET, self._record(ending), type(None), "write the record")
        await self._end_well(ending)
        return ForgetResult(
            run_id=self._run_id,
            status=status,
            opened=opened,
            done=done,
            started_ns=self._started_ns,
            ended_ns=ending.ended_ns,
        )

    async def _last_words(self, ending: Ending) -> None:
        """Leave a record that says how it ended, and no workspace: it is never resumed, but decided again."""
        await self._calls.last_words(names.LOG_FORGET, self._record(ending), f"record: {ending.status.value}")

    def _record(self, ending: Ending) -> ForgetLogInput:
        return ForgetLogInput(
            run=self._run_ref(),
            request=self._request,
            started_ns=self._started_ns,
            ending=ending,
            opened=self._opened,
            done=self._done,
            close=True,
        )

    def _run_ref(self) -> RunRef:
        return RunRef(run_id=self._run_id, repository=self._request.repository, source=self._request.source)

    @property
    def _tells(self) -> bool:
        return self._opened is None or self._opened.tell

    def _show(self) -> None:
        head, lines = f"**{self._phase.value.capitalize()}: {self._status.value}**", list[str]()
        if self._opened is not None:
            going = counted(self._opened.going, "snapshot goes", "snapshots go")
            lines.append(f"{going}, {counted(self._opened.stays, 'stays', 'stay')}")
        if self._done is not None:
            lines.append(f"{self._done.forgotten:,} are in the bin, {self._done.spared:,} were spared")
        workflow.set_current_details(laid_out(head, lines))
