"""A prune's activities, as a test's script has them answer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from temporalio import activity

from holdfast.contracts import names
from holdfast.contracts.common import RunInput
from holdfast.contracts.prune import (
    LocksSeen,
    LockWait,
    MarkedSeen,
    PruneLogInput,
    PruneOpened,
    PrunePlanned,
    PruneTotals,
    PruneTriggerInput,
    Switched,
    SwitchTried,
)
from holdfast.contracts.runs import ShardInput

SWITCHED = Switched(shards=2, packs=5, size_bytes=500, runs=1, stood_ms=1200, locked_ms=100)
PLAN = PrunePlanned(
    shards=2, last=True, packs=9, bytes_total=900, drop_packs=3, repack_packs=2, bytes_freed=400
)


@dataclass(kw_only=True)
class ScriptedPrune:
    """holders: what each wait for a moment answers. tries: what each try of the short part does."""

    opened: PruneOpened = field(default_factory=lambda: PruneOpened(shards=3, approval_s=60, wait_s=3600))
    plan: PrunePlanned = PLAN
    holders: list[tuple[str, ...]] = field(default_factory=list)
    tries: list[SwitchTried] = field(default_factory=list)
    watched: Sequence[MarkedSeen] = (MarkedSeen(switched=SWITCHED),)

    calls: list[tuple[str, int]] = field(default_factory=list)
    waits: list[LockWait] = field(default_factory=list)
    logs: list[PruneLogInput] = field(default_factory=list)

    @activity.defn(name=names.TRIGGER_PRUNE)
    async def trigger(self, _message: PruneTriggerInput) -> PruneOpened:
        self.calls.append(("open", 0))
        return self.opened

    @activity.defn(name=names.MARK_PRUNE)
    async def mark(self, message: ShardInput) -> PruneTotals:
        self.calls.append(("mark", message.shard))
        return PruneTotals(trees=10)

    @activity.defn(name=names.PLAN_PRUNE)
    async def planned(self, _message: RunInput) -> PrunePlanned:
        self.calls.append(("plan", 0))
        return self.plan

    @activity.defn(name=names.REPACK_PRUNE)
    async def repack(self, message: ShardInput) -> PruneTotals:
        self.calls.append(("repack", message.shard))
        return PruneTotals(blobs=4, bytes_read=40)

    @activity.defn(name=names.WAIT_PRUNE)
    async def wait(self, message: LockWait) -> LocksSeen:
        self.waits.append(message)
        return LocksSeen(holders=self.holders.pop(0) if self.holders else ())

    @activity.defn(name=names.SWITCH_PRUNE)
    async def switch(self, _message: RunInput) -> SwitchTried:
        self.calls.append(("switch", 0))
        return self.tries.pop(0) if self.tries else SwitchTried(switched=SWITCHED)

    @activity.defn(name=names.WATCH_PRUNE)
    async def watch(self, _message: RunInput) -> MarkedSeen:
        self.calls.append(("watch", 0))
        return self.watched[0]

    @activity.defn(name=names.DELETE_PRUNE)
    async def delete(self, message: ShardInput) -> PruneTotals:
        self.calls.append(("delete", message.shard))
        return PruneTotals(deleted_packs=2, bytes_deleted=200)

    @activity.defn(name=names.LOG_PRUNE)
    async def log(self, message: PruneLogInput) -> None:
        self.logs.append(message)

    def light(self) -> list[Callable[..., object]]:
        """The activities of the light queue."""
        return [self.trigger, self.planned, self.wait, self.switch, self.watch, self.log]

    def copying(self) -> list[Callable[..., object]]:
        """The activities of the copy queue."""
        return [self.mark, self.repack, self.delete]
