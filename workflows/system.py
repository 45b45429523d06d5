"""The backup and the recovery of a system share the controls of their members, progress and verdict."""

import asyncio
from collections.abc import Sequence
from typing import ClassVar, TypeVar

from temporalio import workflow
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    ChildWorkflowError,
    FailureError,
    is_cancelled_exception,
)
from temporalio.exceptions import TimeoutError as StepTimeoutError

from holdfast.contracts import names
from holdfast.contracts.backup import BackupResult
from holdfast.contracts.common import PROGRESS_QUERY, Ending, Phase, Progress, RunRef, Trigger, TriggerKind
from holdfast.contracts.control import (
    PAUSE,
    RESUME,
    SET_PRIORITY,
    THROTTLE,
    Asked,
    ControlState,
    PriorityRequest,
    ThrottleRequest,
)
from holdfast.contracts.hooks import HookDone
from holdfast.contracts.restore import RestoreResult
from holdfast.contracts.system import (
    MEMBERS_QUERY,
    LogSystemInput,
    Member,
    MemberHost,
    MemberOutcome,
    OpenSystemInput,
    SystemOpened,
    SystemRequest,
    SystemResult,
)
from holdfast.terms import RunKind, RunStatus
from holdfast.units import format_duration
from holdfast.workflows.attributes import show_run
from holdfast.workflows.children import Child, child_failure, result_of
from holdfast.workflows.details import control_notes, laid_out
from holdfast.workflows.failures import failure_of
from holdfast.workflows.hooks import hook_notes
from holdfast.workflows.run_frame import SteeredRun
from holdfast.workflows.run_id import attempt_id

ResultT = TypeVar("ResultT")


class SystemWorkflow(SteeredRun[SystemResult]):
    """A run of a system. What is asked of it is passed on to the runs of its members, which tell their own ends."""

    _verb: ClassVar[str]
    """What a member's own run is called."""
    _undone: ClassVar[str]
    """What is told of a member for which that did not end well."""

    def __init__(self, request: SystemRequest) -> None:
        super().__init__(request.policy)
        self._asked = request
        self._run_id = attempt_id()
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
        size = sum(member.bytes_total for member in done)
        counts = Progress(
            run_id=self._run_id,
            phase=self._phase,
            selection_complete=bool(self._members),
            files_total=sum(member.files for member in done),
            files_done=sum(member.files for member in done),
            bytes_total=size,
            bytes_done=size,
            shards_total=len(self._members),
            shards_done=len(self._outcomes),
            errors=sum(member.errors for member in done),
        )
        return self._standing(counts, moved=size, to_move=None)

    @workflow.query(name=MEMBERS_QUERY)
    def members(self) -> tuple[MemberOutcome, ...]:
        """Answer what became of each member so far; those that are under way are `running`."""
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
        ending = Ending(status=self._judge(), ended_ns=workflow.time_ns())
        self._status = ending.status
        self._enter(Phase.LOG)
        await self._calls.quick(names.LOG_SYSTEM, self._record(ending), type(None), "write the record")
        await self._end_well(ending)
        return self._result(ending)

    async def _last_words(self, ending: Ending) -> None:
        await self._calls.last_words(names.LOG_SYSTEM, self._record(ending), f"record: {ending.status.value}")

    def _record(self, ending: Ending) -> LogSystemInput:
        return LogSystemInput(
            run=self._run_ref(),
            trigger=self._asked.trigger,
            started_ns=self._started_ns,
            ending=ending,
            members=self._verdicts(ending.status, "the run ended before it was done"),
            hooks=self._hooks,
            is_restore=self._is_restore,
        )

    def _result(self, ending: Ending) -> SystemResult:
        return SystemResult(
            run_id=self._run_id,
            system=self._asked.system,
            status=ending.status,
            members=self._verdicts(ending.status, "the run ended before it was done"),
            hooks=self._hooks,
            started_ns=self._started_ns,
            ended_ns=ending.ended_ns,
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
        """The outcome of each member, in their order; `otherwise` of those of which nothing is known."""
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

    async def _ask(self, member: Member, name: str, message: object, result: type[ResultT]) -> ResultT | None:
        """The answer of a member's host; None where none comes, or none that says it: the member's outcome then."""
        try:
            return await self._calls.tried(
                name,
                message,
                result,
                member.label,
                timeout_s=self._calls.policy.light_timeout_s,
                queue=member.queue,
                begin_s=self._asked.resolve_timeout_s,
            )
        except (ActivityError, ApplicationError) as error:
            if is_cancelled_exception(error):
                raise
            reason = failure_of(error).message.partition("\n")[0]
            if isinstance(error.__cause__, StepTimeoutError):
                reason = f"no worker of {member.target_host or member.host} answers"
            self._failed(member, f"{self._undone}: {reason}")
            return None

    async def _result_of(self, member: Member, handle: Child, result: type[ResultT]) -> ResultT | None:
        """The result of a member's run; None where it has none, which is the member's outcome then."""
        self._follow(member, handle)
        try:
            return await result_of(handle, result)
        except (ChildWorkflowError, ApplicationError) as error:
            if is_cancelled_exception(error):
                self._failed(member, f"{self._undone}: its {self._verb} was cancelled", RunStatus.CANCELLED)
            else:
                first_line = child_failure(error).message.partition("\n")[0]
                self._failed(member, f"{self._undone}: {first_line}")
            return None

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
        return self._kind is RunKind.SYSTEM_RESTORE

    def _own_trigger(self) -> Trigger:
        return Trigger(kind=TriggerKind.SERVICE, by=f"system {self._asked.system}", evidence=self._run_id)

    def _run_ref(self) -> RunRef:
        return RunRef(run_id=self._run_id, repository="", source=self._asked.system)

    def _show(self) -> None:
        head = f"**{self._phase.value.capitalize()}: {self._status.value}** after {format_duration(self._elapsed_ns)}"
        members = [_in_words(member) for member in self._verdicts(self._status, "")]
        notes = [*hook_notes(self._hooks), *control_notes(self._control.state)]
        workflow.set_current_details(laid_out(head, [*members, *notes]))


def _in_words(member: MemberOutcome) -> str:
    """`**db** on mars: complete, snapshot `0123abcd``, and why it is not more."""
    snapshot = f", snapshot `{member.snapshot_id[:8]}`" if member.snapshot_id else ""
    reason = f": {member.reason}" if member.reason else ""
    return f"**{member.label}** on {member.host}: {member.status.value}{snapshot}{reason}"


def outcome_of(
    member: Member, host: str, workflow_id: str, result: BackupResult | RestoreResult, reasons: Sequence[str]
) -> MemberOutcome:
    """What a member's own run came to, by its result."""
    return MemberOutcome(
        label=member.label,
        host=host,
        status=result.status,
        snapshot_id=result.snapshot_id,
        reason="; ".join(reasons),
        run_id=result.run_id,
        workflow_id=workflow_id,
        files=result.totals.files,
        bytes_total=result.totals.bytes_total,
        errors=result.totals.errors,
    )


async def _signal(handle: Child, name: str, message: object) -> None:
    try:
        await handle.signal(name, message)
    except FailureError:
        workflow.logger.warning("a member's run ended before %s reached it", name)
