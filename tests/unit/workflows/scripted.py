"""Activities that behave like the engine on an imaginary source, and do what a test's script says.

They keep the engine's promises to the workflows: what was selected or stored once is answered again without
work, a commit names what is missing. The real engine is run by the tests in tests/e2e.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from temporalio import activity
from temporalio.exceptions import ApplicationError

from holdfast.contracts import names
from holdfast.contracts.backup import (
    BackupOpened,
    CommitInput,
    Committed,
    LogInput,
    PageSelected,
    TriggerInput,
)
from holdfast.contracts.common import CloseInput, Verdict
from holdfast.contracts.control import Throttle
from holdfast.contracts.notify import NOTIFY, Notified, NotifyInput
from holdfast.contracts.runs import PlanInput, SelectInput, ShardInput, VerifyInput
from holdfast.terms import RunStatus, SelectionTotals, SnapshotTotals, StoredTotals, Strategy

SNAPSHOT_ID = "5" * 64
PARENT_ID = "7" * 64
SHARD_BYTES = 1000
FILES_PER_SHARD = 10

Hook = Callable[[int], Awaitable[None]]


async def nothing(_number: int) -> None:
    """The default hook."""


@dataclass(kw_only=True)
class ScriptedBackup:
    """Pages with so many shards each; hooks and failures by activity name.

    commits: what commits answer first. vanishing: the shards whose blobs are found to be gone by each commit
    in turn.
    """

    shards_of_pages: Sequence[int] = (2, 3)
    before: dict[str, Hook] = field(default_factory=dict)
    failures: dict[str, list[ApplicationError]] = field(default_factory=lambda: defaultdict(list))
    commits: list[Committed] = field(default_factory=list)
    vanishing: list[set[int]] = field(default_factory=list)
    opened: BackupOpened = field(
        default_factory=lambda: BackupOpened(
            strategy=Strategy.INCREMENTAL,
            reason="a parent exists",
            parent=PARENT_ID,
        )
    )
    verdict_ok: bool = True

    calls: list[tuple[str, int]] = field(default_factory=list)
    triggers: list[TriggerInput] = field(default_factory=list)
    lists: list[PlanInput] = field(default_factory=list)
    logs: list[LogInput] = field(default_factory=list)
    closes: list[CloseInput] = field(default_factory=list)
    told: list[NotifyInput] = field(default_factory=list)
    throttles: list[Throttle] = field(default_factory=list)
    stored: Counter[tuple[int, int]] = field(default_factory=Counter)
    gone: set[int] = field(default_factory=set)
    storing: int = 0
    most_storing: int = 0

    def count(self, name: str) -> int:
        """How often an activity was called."""
        return sum(1 for called, _ in self.calls if called == name)

    async def _begin(self, name: str, number: int = 0) -> None:
        self.calls.append((name, number))
        await self.before.get(name, nothing)(number)
        if self.failures[name]:
            raise self.failures[name].pop(0)

    @activity.defn(name=names.TRIGGER_BACKUP)
    async def trigger(self, message: TriggerInput) -> BackupOpened:
        await self._begin(names.TRIGGER_BACKUP)
        self.triggers.append(message)
        return self.opened

    @activity.defn(name=names.SELECT_PAGE)
    async def select(self, message: SelectInput) -> PageSelected:
        await self._begin(names.SELECT_PAGE, message.page)
        shards = self.shards_of_pages[message.page]
        if message.first_shard != sum(self.shards_of_pages[: message.page]):
            raise ApplicationError("the first shard has the wrong number", non_retryable=True)
        return PageSelected(
            shards=shards,
            last=message.page == len(self.shards_of_pages) - 1,
            totals=SelectionTotals(
                files_new=FILES_PER_SHARD * shards,
                bytes_total=SHARD_BYTES * shards,
                bytes_to_read=SHARD_BYTES * shards,
                files_to_read=FILES_PER_SHARD * shards,
            ),
        )

    @activity.defn(name=names.STORE_SHARD)
    async def store(self, message: ShardInput) -> StoredTotals:
        self.storing += 1
        self.throttles.append(message.throttle)
        self.most_storing = max(self.most_storing, self.storing)
        try:
            await self._begin(names.STORE_SHARD, message.shard)
            await asyncio.sleep(0)
        finally:
            self.storing -= 1
        self.stored[(message.run.generation, message.shard)] += 1
        self.gone.discard(message.shard)
        return StoredTotals(files=FILES_PER_SHARD, bytes_read=SHARD_BYTES)

    @activity.defn(name=names.COMMIT_SNAPSHOT)
    async def commit(self, message: CommitInput) -> Committed:
        await self._begin(names.COMMIT_SNAPSHOT, message.run.generation)
        if self.commits:
            return self.commits.pop(0)
        if self.vanishing:
            self.gone |= self.vanishing.pop(0)
        if self.gone:
            return Committed(missing_shards=tuple(sorted(self.gone)))
        return Committed(
            snapshot_id=SNAPSHOT_ID,
            status=RunStatus.COMPLETE,
            totals=SnapshotTotals(
                files=FILES_PER_SHARD * message.shards, bytes_total=SHARD_BYTES * message.shards
            ),
        )

    @activity.defn(name=names.LIST_FILES)
    async def list_files(self, message: PlanInput) -> None:
        await self._begin(names.LIST_FILES, message.run.generation)
        self.lists.append(message)

    @activity.defn(name=names.LOG_BACKUP)
    async def log(self, message: LogInput) -> None:
        await self._begin(names.LOG_BACKUP)
        self.logs.append(message)

    @activity.defn(name=names.VERIFY_BACKUP)
    async def verify(self, message: VerifyInput) -> Verdict:
        await self._begin(names.VERIFY_BACKUP)
        return Verdict(level=message.level, ok=self.verdict_ok, problems=0 if self.verdict_ok else 2)

    @activity.defn(name=names.CLOSE_RUN)
    async def close(self, message: CloseInput) -> None:
        await self._begin(names.CLOSE_RUN)
        self.closes.append(message)

    @activity.defn(name=NOTIFY)
    async def notify(self, message: NotifyInput) -> Notified:
        await self._begin(NOTIFY)
        self.told.append(message)
        return Notified(sent=1)

    def light(self) -> list[Callable[..., object]]:
        """The activities of the light queue."""
        return [self.trigger, self.select, self.commit, self.log, self.verify, self.close, self.notify]

    def copying(self) -> list[Callable[..., object]]:
        """The activities of the copy queue."""
        return [self.store, self.commit, self.list_files]


async def heartbeat_until_cancelled() -> None:
    """Work that never ends, as an activity that heartbeats does it."""
    while True:
        activity.heartbeat()
        await asyncio.sleep(0.02)
