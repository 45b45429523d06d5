"""What the backup and the recovery of a system have in common: controls of their members, progress, verdict."""

import asyncio
from collections.abc import Sequence

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

from contracts import names
from contracts.common import PROGRESS_QUERY, Phase, Progress, RunRef, Trigger, TriggerKind
from contracts.control import (
    PAUSE,
    RESUME,
    SET_PRIORITY,
    THROTTLE,
    Asked,
    ControlState,
    PriorityRequest,
    ThrottleRequest,
)
from contracts.hooks import HookDone
from contracts.system import (
    MEMBERS_QUERY,
    LogSystemInput,
    Member,
    MemberHost,
    MemberOutcome,
    OpenSystemInput,
    SystemOpened,
    SystemRequest,
    SystemRestoreRequest,
    SystemResult,
)
from holdfast.terms import RunStatus
from holdfast.units import format_duration
from workflows.attributes import show_run
from workflows.children import Child
from workflows.control import RunControl, SteeredWorkflow
from workflows.details import control_notes
from workflows.failures import MAX_MESSAGE, Failure, failure_of
from workflows.hooks import hook_notes
from workflows.members import MemberCalls
from workflows.policies import ActivityCalls
from workflows.run_id import run_id_of


class SystemWorkflow(SteeredWorkflow):
    """A run of a system. What is asked of it is passed on to the runs of its members."""

    def _begin(self, request: SystemRequest) -> None:
        """Set up the state; for `@workflow.init`."""
        self._asked = request
        self._run_id = run_id_of("")
        self._started_ns = workflow.time_ns()
        self._control = RunControl(request.control)
        self._calls = ActivityCalls(policy=request.policy)
        self._members_calls = MemberCalls(policy=request.policy, answer_s=request.resolve_timeout_s)
        self._phase = Phase.TRIGGER
        self._status = RunStatus.RUNNING
        self._members: tuple[Member, ...] = ()
        self._outcomes: dict[str, MemberOutcome] = {}
        self._hooks: tuple[HookDone, ...] = ()
        self._system_run = ""
        self._runs: dict[str, Child] = {}
        self._passing_on: set[asyncio.Task[None]] = set()

    @workflow.query(name=PROGRESS_QUERY)
    def progress(self) -> Progress:
        """Where the run stands: members count as shards, files and bytes are of those that are done."""
        done = self._outcomes.values()
        return Progress(
            run_id=self._run_id,
            phase=self._phase,
            status=self._status,
            selection_complete=bool(self._members),
            files_total=sum(member.files for member in done),
            files_done=sum(member.files for member in done),
            bytes_total=sum(member.bytes_total for member in done),
            bytes_done=sum(member.bytes_total for member in done),
            shards_total=len(self._members),
            shards_done=len(self._outcomes),
            errors=sum(member.errors for member in done),
            paused=self._control.state.pause is not None,
            started_ns=self._started_ns,
        )

    @workflow.query(name=MEMBERS_QUERY)
    def members(self) -> tuple[MemberOutcome, ...]:
        """What became of each member so far; those that are under way are `running`."""
        return self._verdicts(RunStatus.RUNNING, "")

    async def _open(self, hosts: tuple[MemberHost, ...] = ()) -> SystemOpened:
        show_run(source=self._asked.system, status=RunStatus.RUNNING)
        self._enter(Phase.TRIGGER)
        opened = await self._calls.quick(
            names.OPEN_SYSTEM,
            OpenSystemInput(
                run=self._run_ref(),
                started_ns=self._started_ns,
                trigger=self._asked.trigger,
                hosts=hosts,
                is_restore=self._is_restore,
            ),
            SystemOpened,
            "look the system up",
        )
        self._members = opened.members
        return opened

    async def _end(self) -> SystemResult:
        """Record the verdict, and give it."""
        self._status = self._judge()
        await self._log()
        return self._close()

    async def _end_early(self, error: BaseException) -> SystemResult:
        """Record a run that was cancelled, or that failed before it could try; raises in the latter case.

        Raises:
            ApplicationError: what made the run fail.
            CancelledError: it was cancelled otherwise than by the update or signal.
        """
        cancelled = is_cancelled_exception(error)
        self._status = RunStatus.CANCELLED if cancelled else RunStatus.FAILED
        failure = failure_of(error)
        await self._log(None if cancelled else failure)
        result = self._close()
        if cancelled and self._control.state.cancel is not None:
            return result
        raise error if cancelled else failure.as_workflow_failure() from error

    async def _log(self, failure: Failure | None = None) -> None:
        self._enter(Phase.LOG)
        self._ended_ns = workflow.time_ns()
        message = LogSystemInput(
            run=self._run_ref(),
            status=self._status,
            trigger=self._asked.trigger,
            started_ns=self._started_ns,
            ended_ns=self._ended_ns,
            members=self._verdicts(self._status, "the run ended before it was done"),
            hooks=self._hooks,
            is_restore=self._is_restore,
            failure_kind="" if failure is None else failure.kind,
            failure_message="" if failure is None else failure.message[:MAX_MESSAGE],
        )
        try:
            await self._calls.last_words(names.LOG_SYSTEM, message, f"record: {self._status.value}")
        except FailureError as error:
            workflow.logger.warning("the end of the run could not be recorded: %s", failure_of(error).kind)

    def _close(self) -> SystemResult:
        self._control.is_over = True
        self._enter(Phase.DONE)
        show_run(status=self._status)
        return SystemResult(
            run_id=self._run_id,
            system=self._asked.system,
            status=self._status,
            members=self._verdicts(self._status, "the run ended before it was done"),
            hooks=self._hooks,
            started_ns=self._started_ns,
            ended_ns=self._ended_ns,
            is_restore=self._is_restore,
            system_run=self._system_run,
        )

    def _judge(self) -> RunStatus:
        outcomes = self._outcomes.values()
        if not any(member.ok for member in outcomes):
            return RunStatus.FAILED
        whole = all(member.status is RunStatus.COMPLETE and member.ok for member in outcomes)
        return RunStatus.COMPLETE if whole and not any(h.counts for h in self._hooks) else RunStatus.PARTIAL

    def _verdicts(self, otherwise: RunStatus, reason: str) -> tuple[MemberOutcome, ...]:
        """What became of each member, in their order; `otherwise` of those of which nothing is known."""
        return tuple(
            self._outcomes.get(member.label)
            or MemberOutcome(label=member.label, host=member.host, status=otherwise, reason=reason)
            for member in self._members
        )

    def _settle(self, outcome: MemberOutcome) -> None:
        self._outcomes[outcome.label] = outcome
        self._runs.pop(outcome.label, None)
        self._show()

    def _failed(self, member: Member, reason: str, status: RunStatus = RunStatus.FAILED) -> None:
        host = member.target_host or member.host
        self._settle(MemberOutcome(label=member.label, host=host, status=status, reason=reason))

    def _follow(self, member: Member, handle: Child) -> None:
        """Let what is asked of this run reach that of a member, what was asked before too."""
        self._runs[member.label] = handle
        state = self._control.state
        if state.throttle.limits:
            self._pass_on(THROTTLE, ThrottleRequest(throttle=state.throttle), [handle])
        if state.priority != ControlState().priority:
            self._pass_on(SET_PRIORITY, PriorityRequest(priority=state.priority), [handle])
        self._show()

    async def _until_resumed(self) -> None:
        await workflow.wait_condition(lambda: self._control.state.pause is None)

    def _pause(self, asked: Asked) -> ControlState:
        self._pass_on(PAUSE, asked, list(self._runs.values()))
        return super()._pause(asked)

    def _resume(self, asked: Asked) -> ControlState:
        self._pass_on(RESUME, asked, list(self._runs.values()))
        return super()._resume(asked)

    def _throttle(self, request: ThrottleRequest) -> ControlState:
        self._pass_on(THROTTLE, request, list(self._runs.values()))
        return super()._throttle(request)

    def _set_priority(self, request: PriorityRequest) -> ControlState:
        self._pass_on(SET_PRIORITY, request, list(self._runs.values()))
        return super()._set_priority(request)

    def _pass_on(
        self,
        name: str,
        message: object,
        handles: Sequence[Child],
    ) -> None:
        for handle in handles:
            task = asyncio.create_task(_signal(handle, name, message))
            self._passing_on.add(task)
            task.add_done_callback(self._passing_on.discard)

    @property
    def _is_restore(self) -> bool:
        return isinstance(self._asked, SystemRestoreRequest)

    def _own_trigger(self) -> Trigger:
        return Trigger(kind=TriggerKind.SERVICE, by=f"system {self._asked.system}", evidence=self._run_id)

    def _run_ref(self) -> RunRef:
        return RunRef(run_id=self._run_id, repository="", source=self._asked.system)

    def _on_control(self) -> None:
        show_run(status=self._status, paused=self._control.state.pause is not None)
        self._show()

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._show()

    def _show(self) -> None:
        elapsed = format_duration(workflow.time_ns() - self._started_ns)
        lines = [
            f"**{self._phase.value.capitalize()}**: {self._status.value} after {elapsed}",
            "",
            "| member | host | status | snapshot | |",
            "|---|---|---|---|---|",
        ]
        for member in self._verdicts(self._status, ""):
            cells = (member.label, member.host, member.status.value, member.snapshot_id[:8], member.reason)
            lines += [f"| {' | '.join(cells)} |"]
        notes = [*hook_notes(self._hooks), *control_notes(self._control.state)]
        workflow.set_current_details("\n".join([*lines, *(f"\n{note}" for note in notes)]))


async def _signal(handle: Child, name: str, message: object) -> None:
    try:
        await handle.signal(name, message)
    except FailureError:
        workflow.logger.warning("a member's run ended before %s reached it", name)
