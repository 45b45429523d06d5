"""A run is cancelled while a step goes on that ends well all the same: nothing is begun after it."""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle

from holdfast.contracts import names
from holdfast.contracts.backup import BackupOpened, BackupRequest, BackupResult
from holdfast.contracts.common import BACKUP_WORKFLOW, RunInput
from holdfast.contracts.control import CANCEL, Asked
from holdfast.contracts.drill import DrillLogInput, DrillOpened, DrillRequest, DrillResult, DrillTriggerInput
from holdfast.contracts.guard import (
    COMPARE_ACTIVITY,
    LOG_GUARD_ACTIVITY,
    CompareInput,
    GuardFound,
    GuardLogInput,
    GuardRequest,
    GuardResult,
)
from holdfast.contracts.hooks import HookDone, HookInput, HookMoment, HookRef
from holdfast.contracts.notify import NOTIFY
from holdfast.contracts.restore import RestoreOpened
from holdfast.contracts.system import (
    FindInput,
    Found,
    FoundSnapshot,
    LogSystemInput,
    Member,
    OpenSystemInput,
    Prepared,
    PrepareInput,
    Resolved,
    ResolveInput,
    SystemBackupRequest,
    SystemOpened,
    SystemRequest,
    SystemRestoreRequest,
    SystemResult,
)
from holdfast.contracts.verbs import (
    DRILL_WORKFLOW,
    GUARD_WORKFLOW,
    SYSTEM_BACKUP_WORKFLOW,
    SYSTEM_RESTORE_WORKFLOW,
)
from holdfast.contracts.watch import (
    CHANGES_UPDATE,
    SOURCE_WATCH_WORKFLOW,
    Changes,
    WatchConditions,
    WatchOrder,
    WatchStatus,
)
from holdfast.terms import RunStatus, Strategy, VerifyLevel
from tests.unit.workflows.running import FAST, replay, workers
from tests.unit.workflows.scripted import ScriptedBackup
from tests.unit.workflows.scripted_restore import SNAPSHOT_ID, ScriptedRestore

ANNA = Asked(by="anna", reason="enough")
MEMBERS = ("db", "www")


class Gate:
    """Holds a step that does not hear of a cancellation, until it may end."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.open = asyncio.Event()

    async def __call__(self, _number: int = 0) -> None:
        self.reached.set()
        await self.open.wait()


class HookedBackup(ScriptedBackup):
    """A backup with a hook before it and one after it."""

    def __init__(self, gate: Gate) -> None:
        super().__init__(shards_of_pages=(1,))
        self.opened = BackupOpened(
            strategy=Strategy.FULL, reason="", before=(HookRef(name="dump"),), after=(HookRef(name="tidy"),)
        )
        self.gate = gate
        self.hooks: list[tuple[HookMoment, RunStatus]] = []

    @activity.defn(name=names.RUN_HOOK)
    async def hook(self, message: HookInput) -> HookDone:
        self.hooks.append((message.moment, message.status))
        if message.moment is HookMoment.BEFORE:
            await self.gate()
        return HookDone(name=message.hook.name, moment=message.moment, ok=True)

    def light(self) -> list[Callable[..., object]]:
        return [*super().light(), self.hook]


@dataclass(kw_only=True)
class ScriptedSystem:
    """A system of two members, whose restores run here too. gates: by the step that they hold, its first time."""

    gates: dict[str, Gate]
    queue: str
    restores: ScriptedRestore = field(
        default_factory=lambda: ScriptedRestore(
            shards_of_pages=(1,), opened=RestoreOpened(snapshot_id=SNAPSHOT_ID, tell=True)
        )
    )
    logs: list[LogSystemInput] = field(default_factory=list)

    @activity.defn(name=names.OPEN_SYSTEM)
    async def open(self, _message: OpenSystemInput) -> SystemOpened:
        members = (Member(label=name, source=name, host="box", queue=self.queue) for name in MEMBERS)
        return SystemOpened(members=tuple(members))

    @activity.defn(name=names.RESOLVE_MEMBER)
    async def resolve(self, _message: ResolveInput) -> Resolved:
        await self._hold(names.RESOLVE_MEMBER)
        return Resolved(
            repository="vault", host="box", strategy=Strategy.FULL, verify=VerifyLevel.NONE, window=1
        )

    @activity.defn(name=names.FIND_MEMBER)
    async def find(self, _message: FindInput) -> Found:
        await self._hold(names.FIND_MEMBER)
        found = FoundSnapshot(snapshot_id=SNAPSHOT_ID, time_ns=1)
        return Found(repository="vault", host="box", snapshots=(found,), window=1)

    @activity.defn(name=names.PREPARE_MEMBER)
    async def prepare(self, _message: PrepareInput) -> Prepared:
        await self._hold(names.PREPARE_MEMBER)
        return Prepared(selection="@" + uuid.uuid4().hex)

    @activity.defn(name=names.LOG_SYSTEM)
    async def log(self, message: LogSystemInput) -> None:
        self.logs.append(message)

    async def _hold(self, name: str) -> None:
        if name in self.gates:
            await self.gates[name]()

    def light(self) -> list[Callable[..., object]]:
        if NOTIFY in self.gates:
            self.restores.before[NOTIFY] = self.gates[NOTIFY]
        own: list[Callable[..., object]] = [self.open, self.resolve, self.find, self.prepare, self.log]
        return [*own, *self.restores.light()]

    def copying(self) -> list[Callable[..., object]]:
        return self.restores.copying()


@dataclass(kw_only=True)
class ScriptedGuard:
    """A guard that has found something to restore."""

    gate: Gate
    restores: ScriptedRestore = field(default_factory=ScriptedRestore)
    logs: list[GuardLogInput] = field(default_factory=list)

    @activity.defn(name=COMPARE_ACTIVITY)
    async def compare(self, _message: CompareInput) -> GuardFound:
        await self.gate()
        return GuardFound(
            snapshot_id=SNAPSHOT_ID, missing=1, missing_selection="@" + uuid.uuid4().hex, on_missing="restore"
        )

    @activity.defn(name=LOG_GUARD_ACTIVITY)
    async def log(self, message: GuardLogInput) -> None:
        self.logs.append(message)

    def light(self) -> list[Callable[..., object]]:
        return [self.compare, self.log, *self.restores.light()]

    def copying(self) -> list[Callable[..., object]]:
        return self.restores.copying()


@dataclass(kw_only=True)
class ScriptedDrill:
    """A drill of everything."""

    gate: Gate
    restores: ScriptedRestore = field(default_factory=ScriptedRestore)
    logs: list[DrillLogInput] = field(default_factory=list)
    cleaned: int = 0

    @activity.defn(name=names.TRIGGER_DRILL)
    async def trigger(self, message: DrillTriggerInput) -> DrillOpened:
        await self.gate()
        return DrillOpened(
            source=message.request.source,
            sample="all",
            seed="",
            snapshot_id=SNAPSHOT_ID,
            snapshot_time_ns=1,
            selection="@" + uuid.uuid4().hex,
            verification="@" + uuid.uuid4().hex,
        )

    @activity.defn(name=names.LOG_DRILL)
    async def log(self, message: DrillLogInput) -> None:
        self.logs.append(message)

    @activity.defn(name=names.CLEAN_DRILL)
    async def clean(self, _message: RunInput) -> None:
        self.cleaned += 1

    def light(self) -> list[Callable[..., object]]:
        return [self.trigger, self.log, self.clean, *self.restores.light()]

    def copying(self) -> list[Callable[..., object]]:
        return self.restores.copying()


async def cancelled(handle: "WorkflowHandle[object, object]", gate: Gate, *, by_update: bool) -> object:
    """The result of a run that is cancelled at the gate; None where it ends as cancelled by the server."""
    await gate.reached.wait()
    if by_update:
        await handle.execute_update(CANCEL, ANNA)
    else:
        await handle.cancel()
        await asyncio.sleep(0.5)  # the server's word reaches the workflow in a task of its own
    gate.open.set()
    if by_update:
        return await handle.result()
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    return None


@pytest.mark.parametrize("by_update", [True, False])
async def test_no_backup_after_the_hook_before_it(client: Client, *, by_update: bool) -> None:
    gate = Gate()
    script = HookedBackup(gate)
    async with workers(client, script) as queue:
        handle = await client.start_workflow(
            BACKUP_WORKFLOW,
            BackupRequest(repository="vault", source="home", policy=FAST),
            id=f"backup-{uuid.uuid4()}",
            task_queue=queue,
            result_type=BackupResult,
        )
        result = await cancelled(handle, gate, by_update=by_update)
        await replay(client, handle)
    assert result is None or (isinstance(result, BackupResult) and result.status is RunStatus.CANCELLED)
    assert script.count(names.SELECT_PAGE) == 0
    assert script.hooks == [
        (HookMoment.BEFORE, RunStatus.RUNNING),
        (HookMoment.AFTER, RunStatus.CANCELLED),
    ]
    assert [log.ending.status for log in script.logs] == [RunStatus.CANCELLED]


@pytest.mark.parametrize("by_update", [True, False])
@pytest.mark.parametrize(
    ("step", "restored"), [(names.FIND_MEMBER, 0), (names.PREPARE_MEMBER, 0), (NOTIFY, 1)]
)
async def test_no_further_member_is_restored(
    client: Client, step: str, restored: int, *, by_update: bool
) -> None:
    request = SystemRestoreRequest(system="shop", policy=FAST, resolve_timeout_s=30)
    script = await run_system(client, SYSTEM_RESTORE_WORKFLOW, request, step, by_update=by_update)
    assert script.restores.calls.count(names.TRIGGER_RESTORE) == restored


@pytest.mark.parametrize("by_update", [True, False])
async def test_no_member_is_backed_up(client: Client, *, by_update: bool) -> None:
    request = SystemBackupRequest(system="shop", policy=FAST, resolve_timeout_s=30)
    script = await run_system(
        client, SYSTEM_BACKUP_WORKFLOW, request, names.RESOLVE_MEMBER, by_update=by_update
    )
    assert {member.workflow_id for log in script.logs for member in log.members} == {""}


async def test_no_restore_by_a_guard(client: Client) -> None:
    script = ScriptedGuard(gate=Gate())
    async with workers(client, script) as queue:
        handle = await client.start_workflow(
            GUARD_WORKFLOW,
            GuardRequest(repository="vault", source="home", policy=FAST),
            id=f"guard:box:vault:{uuid.uuid4()}",
            task_queue=queue,
            result_type=GuardResult,
        )
        await cancelled(handle, script.gate, by_update=False)
        await replay(client, handle)
    assert script.restores.calls == []
    assert [log.ending.status for log in script.logs] == [RunStatus.CANCELLED]


async def test_no_trial_restore(client: Client) -> None:
    script = ScriptedDrill(gate=Gate())
    async with workers(client, script) as queue:
        handle = await client.start_workflow(
            DRILL_WORKFLOW,
            DrillRequest(repository="vault", source="home", policy=FAST),
            id=f"drill:box:vault:{uuid.uuid4()}",
            task_queue=queue,
            result_type=DrillResult,
        )
        await cancelled(handle, script.gate, by_update=False)
        await replay(client, handle)
    assert script.restores.calls == []
    assert script.cleaned == 1
    assert [log.ending.status for log in script.logs] == [RunStatus.CANCELLED]


async def test_no_further_look_by_a_watch(client: Client) -> None:
    """Its backup is over, and has its end told, when the watch is cancelled."""
    gate = Gate()
    script = ScriptedBackup(
        shards_of_pages=(1,), opened=BackupOpened(strategy=Strategy.FULL, reason="", tell=True)
    )
    script.before[NOTIFY] = gate
    order = WatchOrder(
        request=BackupRequest(repository="vault", source="home", policy=FAST),
        workflow_id=f"backup-{uuid.uuid4()}",
        conditions=WatchConditions(quiet_s=0, min_interval_s=600),
    )
    async with workers(client, script) as queue:
        handle = await client.start_workflow(
            SOURCE_WATCH_WORKFLOW,
            order,
            id=f"watch-{uuid.uuid4()}",
            task_queue=queue,
            result_type=WatchStatus,
        )
        await handle.execute_update(CHANGES_UPDATE, Changes())
        await cancelled(handle, gate, by_update=False)
        await replay(client, handle)
    assert script.count(names.COMMIT_SNAPSHOT) == 1


async def run_system(
    client: Client, workflow: str, request: SystemRequest, step: str, *, by_update: bool
) -> ScriptedSystem:
    gate, queue = Gate(), f"test.{uuid.uuid4()}"
    script = ScriptedSystem(gates={step: gate}, queue=queue)
    async with workers(client, script, queue=queue):
        handle = await client.start_workflow(
            workflow, request, id=f"system-{uuid.uuid4()}", task_queue=queue, result_type=SystemResult
        )
        result = await cancelled(handle, gate, by_update=by_update)
        await replay(client, handle)
    assert result is None or (isinstance(result, SystemResult) and result.status is RunStatus.CANCELLED)
    assert [log.ending.status for log in script.logs] == [RunStatus.CANCELLED]
    return script
