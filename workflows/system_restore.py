"""The recovery of a system by its name, as of a moment: of each member the matching snapshot, in the declared order.

The newest run of the system that made a whole snapshot of every member is preferred, because these belong together;
where there is none, each member's newest snapshot is taken, and the result says so. A member that cannot be restored
does not keep those after it from being restored.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from temporalio import workflow

from holdfast.contracts import identity, names
from holdfast.contracts.common import RESTORE_WORKFLOW, Phase
from holdfast.contracts.restore import RestoreRequest, RestoreResult
from holdfast.contracts.system import (
    FindInput,
    Found,
    FoundSnapshot,
    Member,
    MemberOutcome,
    Prepared,
    PrepareInput,
    SystemOpened,
    SystemRestoreRequest,
    SystemResult,
)
from holdfast.contracts.verbs import SYSTEM_RESTORE_WORKFLOW
from holdfast.terms import RunKind, RunStatus
from holdfast.units import counted
from holdfast.workflows.children import start_run
from holdfast.workflows.system import SystemWorkflow, outcome_of


@workflow.defn(name=SYSTEM_RESTORE_WORKFLOW)
class SystemRestoreWorkflow(SystemWorkflow):
    """One recovery of one system."""

    _kind = RunKind.SYSTEM_RESTORE
    _verb = "restore"
    _undone = "not restored"

    @workflow.init
    def __init__(self, request: SystemRestoreRequest) -> None:
        super().__init__(request)
        self._request = request

    @workflow.run
    async def run(self, _request: SystemRestoreRequest) -> SystemResult:
        """Run to the end. That nothing came back is a result; fails where the system itself is not known."""
        return await self._framed(self._restore())

    async def _restore(self) -> SystemResult:
        opened = await self._open(self._request.hosts)
        self._enter(Phase.SELECT)
        answers = await asyncio.gather(*(self._find(member, opened) for member in opened.members))
        found = {m.label: answer for m, answer in zip(opened.members, answers, strict=True) if answer}
        self._system_run, chosen = choose_snapshots(found)
        self._enter(Phase.EXECUTE)
        for member in opened.members:
            if member.label in chosen:
                self._end_if_cancelled()
                await self._member(member, found[member.label], chosen[member.label])
            elif member.label in found:
                self._failed(member, "not restored: there is no snapshot of it, at or before that moment")
        return await self._end()

    async def _find(self, member: Member, opened: SystemOpened) -> Found | None:
        message = FindInput(
            system=self._request.system,
            member=member,
            repository=opened.repository,
            as_of_ns=self._request.as_of_ns,
        )
        return await self._ask(member, names.FIND_MEMBER, message, Found)

    async def _member(self, member: Member, found: Found, snapshot: FoundSnapshot) -> None:
        """Restore one member; whatever stands in the way is its outcome."""
        await self._until_resumed()
        message = PrepareInput(
            run=self._run_ref(),
            member=member,
            snapshot_id=snapshot.snapshot_id,
            order=self._request.order,
            in_place=self._request.in_place,
        )
        prepared = await self._ask(member, names.PREPARE_MEMBER, message, Prepared)
        self._end_if_cancelled()
        if prepared is None:
            return
        workflow_id = identity.workflow_id(RunKind.RESTORE, found.host, found.repository, prepared.selection)
        handle = await start_run(
            RESTORE_WORKFLOW,
            self._order(found, prepared),
            workflow_id,
            summary=f"restore of the member {member.label}",
            task_queue=member.queue,
        )
        if handle is None:
            self._failed(member, "not restored: the same restore is under way already")
            return
        result = await self._result_of(member, handle, RestoreResult)
        if result is None:
            self._end_if_cancelled()  # this run is to end, and not the member's alone
            return
        self._settle(_outcome(member, found, snapshot, workflow_id, result))

    def _order(self, found: Found, prepared: Prepared) -> RestoreRequest:
        policy = self._request.policy
        return RestoreRequest(
            repository=found.repository,
            selection=prepared.selection,
            trigger=self._own_trigger(),
            verify=self._request.verify,
            policy=replace(policy, window=found.window or policy.window),
            to_command=prepared.to_command,
        )


def choose_snapshots(found: Mapping[str, Found]) -> tuple[str, dict[str, FoundSnapshot]]:
    """The run of the system that is restored (empty: of several), and a snapshot for each member that has one.

    found: by label, the newest snapshots first, none after the moment that is meant.
    """
    having = {label: answer.snapshots for label, answer in found.items() if answer.snapshots}
    by_run: dict[str, dict[str, FoundSnapshot]] = {}
    for label, snapshots in having.items():
        for snapshot in snapshots:
            if snapshot.system_run and not snapshot.partial:
                by_run.setdefault(snapshot.system_run, {}).setdefault(label, snapshot)
    whole = [(run, chosen) for run, chosen in by_run.items() if chosen.keys() == having.keys()]
    if whole:
        return max(whole, key=lambda one: (max(s.time_ns for s in one[1].values()), one[0]))
    return "", {label: snapshots[0] for label, snapshots in having.items()}


def _outcome(
    member: Member, found: Found, snapshot: FoundSnapshot, workflow_id: str, result: RestoreResult
) -> MemberOutcome:
    verdict = result.verdict
    sound = verdict is None or verdict.ok
    reasons = []
    if result.status is RunStatus.CANCELLED:
        reasons.append("not restored: its restore was cancelled")
    if snapshot.partial:
        reasons.append("its snapshot lacks paths that could not be read")
    if verdict is not None and not sound:
        reasons.append(f"reading back found {counted(verdict.problems, 'problem')}")
    for ahead in found.ahead:
        passed_over = "" if snapshot.snapshot_id.startswith(ahead) else ", and was passed over"
        reasons.append(f"snapshot {ahead} is dated in the future{passed_over}")
    if result.totals.errors:
        reasons.append(f"{counted(result.totals.errors, 'path')} could not be restored")
    lacks_paths = result.status is RunStatus.COMPLETE and snapshot.partial
    return replace(
        outcome_of(member, found.host, workflow_id, result, reasons),
        status=RunStatus.PARTIAL if lacks_paths else result.status,
        ok=sound and result.status in (RunStatus.COMPLETE, RunStatus.PARTIAL),
        snapshot_id=snapshot.snapshot_id,
        snapshot_time_ns=snapshot.time_ns,
    )
