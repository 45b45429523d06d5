"""The backup of a system: hooks before, all members at once, hooks after, one verdict.

Each member is a backup of its own, on its own host's workers, under the id that a command there would use. What is
recoverable is told of each member, whatever became of the others.
"""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Final

from temporalio import workflow

from holdfast.contracts import identity, names
from holdfast.contracts.backup import BackupRequest, BackupResult
from holdfast.contracts.common import BACKUP_WORKFLOW, Ending, Phase
from holdfast.contracts.system import (
    MEMBER_TAG,
    SYSTEM_RUN_TAG,
    SYSTEM_TAG,
    Member,
    MemberOutcome,
    Resolved,
    ResolveInput,
    SystemBackupRequest,
    SystemOpened,
    SystemResult,
)
from holdfast.contracts.verbs import SYSTEM_BACKUP_WORKFLOW
from holdfast.terms import RunKind, RunStatus, Strategy
from holdfast.units import NS_PER_S, counted
from holdfast.workflows.children import Child, start_run
from holdfast.workflows.hooks import HookCalls, failed_before
from holdfast.workflows.system import SystemWorkflow, outcome_of

_FIRST_WAIT_S: Final = 2.0
_LONGEST_WAIT_S: Final = 30.0


@workflow.defn(name=SYSTEM_BACKUP_WORKFLOW)
class SystemBackupWorkflow(SystemWorkflow):
    """One backup of one system."""

    _kind = RunKind.SYSTEM_BACKUP
    _verb = "backup"
    _undone = "not backed up"

    @workflow.init
    def __init__(self, request: SystemBackupRequest) -> None:
        super().__init__(request)
        self._request = request
        self._opened: SystemOpened | None = None
        self._hooks_begun = False
        self._hooks_over = False

    @workflow.run
    async def run(self, _request: SystemBackupRequest) -> SystemResult:
        """Run to the end. That nothing is recoverable is a result; fails where the system itself is not known."""
        return await self._framed(self._backup())

    async def _backup(self) -> SystemResult:
        opened = self._opened = await self._open()
        self._enter(Phase.SELECT)
        resolved = await asyncio.gather(
            *(
                self._ask(member, names.RESOLVE_MEMBER, ResolveInput(source=member.source), Resolved)
                for member in opened.members
            )
        )
        self._enter(Phase.EXECUTE)
        wanted = [(member, found) for member, found in zip(opened.members, resolved, strict=True) if found]
        self._hooks_begun = True
        self._hooks = await self._hook_calls().before(opened.before)
        prevented = failed_before(self._hooks)
        if prevented is not None:
            for member, _ in wanted:
                self._failed(member, f"not backed up: {prevented.words}")
        else:
            self._end_if_cancelled()
            await asyncio.gather(*(self._member(member, found) for member, found in wanted))
        await self._hooks_after(self._judge())
        return await self._end()

    async def _last_words(self, ending: Ending) -> None:
        await self._hooks_after(ending.status)
        await super()._last_words(ending)

    async def _member(self, member: Member, resolved: Resolved) -> None:
        """Back one member up; whatever stands in the way is its outcome, and no other member's."""
        workflow_id = identity.workflow_id(RunKind.BACKUP, resolved.host, resolved.repository, member.source)
        handle = await self._start(member, resolved, workflow_id)
        if handle is None:
            self._failed(member, "not backed up: a backup of it was under way, and went on for too long")
            return
        result = await self._result_of(member, handle, BackupResult)
        if result is not None:
            self._settle(_outcome(member, resolved, workflow_id, result))

    async def _start(self, member: Member, resolved: Resolved, workflow_id: str) -> Child | None:
        """Start it, after one that is under way has ended; None when that takes too long."""
        opened = self._opened
        give_up_ns = workflow.time_ns() + round((0 if opened is None else opened.busy_wait_s) * NS_PER_S)
        wait_s = _FIRST_WAIT_S
        while True:
            await self._until_resumed()
            handle = await start_run(
                BACKUP_WORKFLOW,
                self._order(member, resolved),
                workflow_id,
                summary=f"backup of the member {member.label}",
                task_queue=member.queue,
            )
            if handle is not None or workflow.time_ns() >= give_up_ns:
                return handle
            await workflow.sleep(timedelta(seconds=wait_s))
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    def _order(self, member: Member, resolved: Resolved) -> BackupRequest:
        wanted, policy = self._request.strategy, self._request.policy
        return BackupRequest(
            repository=resolved.repository,
            source=member.source,
            strategy=resolved.strategy if wanted is Strategy.AUTO else wanted,
            trigger=self._own_trigger(),
            tags=(
                *resolved.tags,
                SYSTEM_TAG + self._request.system,
                MEMBER_TAG + member.label,
                SYSTEM_RUN_TAG + workflow.info().first_execution_run_id,
            ),
            verify=resolved.verify,
            policy=replace(policy, window=resolved.window or policy.window),
        )

    async def _hooks_after(self, status: RunStatus) -> None:
        """Run them whatever has happened, once those before have begun."""
        if self._opened is None or not self._hooks_begun or self._hooks_over:
            return
        done = await self._hook_calls().after(self._opened.after, status)
        self._hooks_over = True
        self._hooks = (*self._hooks, *done)

    def _hook_calls(self) -> HookCalls:
        return HookCalls(run=self._run_ref(), calls=self._calls, system=self._request.system)


def _outcome(member: Member, resolved: Resolved, workflow_id: str, result: BackupResult) -> MemberOutcome:
    verdict = result.verdict
    sound = verdict is None or verdict.ok
    reasons = []
    if result.status is RunStatus.CANCELLED:
        reasons.append("not backed up: its backup was cancelled")
    if verdict is not None and not sound:
        reasons.append(f"the verification found {counted(verdict.problems, 'problem')}")
    if result.totals.errors:
        reasons.append(f"{counted(result.totals.errors, 'path')} could not be read")
    reasons += [hook.words for hook in result.hooks if not hook.ok]
    return replace(
        outcome_of(member, resolved.host, workflow_id, result, reasons),
        status=result.status if sound else RunStatus.FAILED,
        ok=bool(result.snapshot_id) and sound,
        snapshot_time_ns=result.started_ns,
    )
