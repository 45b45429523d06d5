"""The scripted engine of restores; see tests/unit/workflows/scripted.py."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from temporalio import activity
from temporalio.exceptions import ApplicationError

from holdfast.contracts import names
from holdfast.contracts.common import CloseInput, Verdict
from holdfast.contracts.notify import NOTIFY, Notified, NotifyInput
from holdfast.contracts.restore import (
    Finished,
    RestoreLogInput,
    RestoreOpened,
    RestorePage,
    RestoreTriggerInput,
    SpaceInput,
)
from holdfast.contracts.runs import PlanInput, SelectInput, ShardInput, VerifyInput
from holdfast.terms import RestoreTotals, RunStatus
from tests.unit.workflows.scripted import Hook, nothing

SNAPSHOT_ID = "5" * 64


@dataclass(kw_only=True)
class ScriptedRestore:
    """Pages with so many shards each; every shard writes two files of 100 bytes."""

    shards_of_pages: Sequence[int] = (1, 2)
    opened: RestoreOpened = field(default_factory=lambda: RestoreOpened(snapshot_id=SNAPSHOT_ID))
    finished: Finished = field(
        default_factory=lambda: Finished(status=RunStatus.COMPLETE, totals=RestoreTotals(files_deleted=7))
    )
    before: dict[str, Hook] = field(default_factory=dict)
    failures: dict[str, list[ApplicationError]] = field(default_factory=lambda: defaultdict(list))

    calls: list[str] = field(default_factory=list)
    triggers: list[RestoreTriggerInput] = field(default_factory=list)
    space: list[SpaceInput] = field(default_factory=list)
    restored: Counter[int] = field(default_factory=Counter)
    logs: list[RestoreLogInput] = field(default_factory=list)
    closes: list[CloseInput] = field(default_factory=list)
    told: list[NotifyInput] = field(default_factory=list)

    async def _begin(self, name: str, number: int = 0) -> None:
        self.calls.append(name)
        await self.before.get(name, nothing)(number)
        if self.failures[name]:
            raise self.failures[name].pop(0)

    @activity.defn(name=names.TRIGGER_RESTORE)
    async def trigger(self, message: RestoreTriggerInput) -> RestoreOpened:
        await self._begin(names.TRIGGER_RESTORE)
        self.triggers.append(message)
        return self.opened

    @activity.defn(name=names.SELECT_RESTORE)
    async def select(self, message: SelectInput) -> RestorePage:
        await self._begin(names.SELECT_RESTORE, message.page)
        shards = self.shards_of_pages[message.page]
        if message.first_shard != sum(self.shards_of_pages[: message.page]):
            raise ApplicationError("the first shard has the wrong number", non_retryable=True)
        return RestorePage(
            shards=shards,
            last=message.page == len(self.shards_of_pages) - 1,
            totals=RestoreTotals(files=3 * shards, files_skipped=shards, bytes_to_write=200 * shards),
        )

    @activity.defn(name=names.CHECK_SPACE)
    async def check_space(self, message: SpaceInput) -> None:
        await self._begin(names.CHECK_SPACE)
        self.space.append(message)

    @activity.defn(name=names.RESTORE_SHARD)
    async def restore(self, message: ShardInput) -> RestoreTotals:
        await self._begin(names.RESTORE_SHARD, message.shard)
        await asyncio.sleep(0)
        self.restored[message.shard] += 1
        return RestoreTotals(files_written=2, bytes_written=200)

    @activity.defn(name=names.FINISH_RESTORE)
    async def finish(self, _message: PlanInput) -> Finished:
        await self._begin(names.FINISH_RESTORE)
        return self.finished

    @activity.defn(name=names.LOG_RESTORE)
    async def log(self, message: RestoreLogInput) -> None:
        await self._begin(names.LOG_RESTORE)
        self.logs.append(message)

    @activity.defn(name=names.VERIFY_RESTORE)
    async def verify(self, message: VerifyInput) -> Verdict:
        await self._begin(names.VERIFY_RESTORE)
        return Verdict(level=message.level, ok=True, files=6)

    @activity.defn(name=names.CLOSE_RESTORE)
    async def close(self, message: CloseInput) -> None:
        await self._begin(names.CLOSE_RESTORE)
        self.closes.append(message)

    @activity.defn(name=NOTIFY)
    async def notify(self, message: NotifyInput) -> Notified:
        await self._begin(NOTIFY)
        self.told.append(message)
        return Notified(sent=1)

    def light(self) -> list[Callable[..., object]]:
        """The activities of the light queue."""
        return [
            self.trigger,
            self.select,
            self.check_space,
            self.finish,
            self.log,
            self.verify,
            self.close,
            self.notify,
        ]

    def copying(self) -> list[Callable[..., object]]:
        """The activities of the copy queue."""
        return [self.restore]
