"""Drives a prune through the engine calls in the order in which the workflow makes them, without Temporal."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from holdfast.ids import from_hex
from holdfast.prune.delete import delete_batch
from holdfast.prune.documents import Deleted, PruneOrder, PrunePlan, PruneRun, Root, Switched
from holdfast.prune.kept import tidy
from holdfast.prune.mark import mark_shard
from holdfast.prune.opening import open_prune
from holdfast.prune.plan import plan_prune
from holdfast.prune.repack import repack_shard
from holdfast.prune.switch import switch
from holdfast.repository.session import RepositorySession
from holdfast.retention.bin import bin_roots
from holdfast.runs.opening import close_run
from tests.support.engine import nothing

RUN_ID = "prune"
NO_TIME_S = -60.0
"""For how long packs stay marked where nobody waits: what time it is there is known to within the writing of a lock."""


def everything(**more: object) -> PruneOrder:
    """An order that leaves nothing unused, of a repository that was verified just now."""
    order: dict[str, object] = {"max_unused": "0", "verified_ns": time.time_ns(), **more}
    return PruneOrder(**order)  # type: ignore[arg-type]  # test data


def binned(session: RepositorySession) -> tuple[Root, ...]:
    """What counts as used because it can be taken back, as the activities give it to a prune."""
    return tuple(Root(from_hex(stored.snapshot.tree)) for stored in bin_roots(session.repository))


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneReport:
    """What a prune came to, as the workflow adds it up."""

    deleted_packs: int = 0
    unnamed_packs: int = 0
    freed_bytes: int = 0
    written_packs: int = 0
    taken_back: int = 0
    spared: int = 0
    left: int = 0


def has_work(plan: PrunePlan) -> bool:
    """Whether a prune goes on after its plan."""
    return bool(plan.drop.packs or plan.move.packs or plan.unnamed.packs)


@dataclass(slots=True)
class Pruning:
    """One run of a prune. Steps may be repeated, and things may be done between them."""

    session: RepositorySession
    run_id: str = RUN_ID
    order: PruneOrder = field(default_factory=everything)

    @property
    def prune(self) -> PruneRun:
        return PruneRun(session=self.session, run_id=self.run_id)

    def plan(self) -> PrunePlan:
        """From the opening to the plan."""
        opened = open_prune(self.prune, self.order, time.time_ns())
        for shard in range(opened.shards):
            mark_shard(self.prune, shard, nothing)
        return plan_prune(self.prune, nothing)

    def repack(self, plan: PrunePlan) -> None:
        for shard in range(plan.shards):
            repack_shard(self.prune, shard, nothing)

    def switch(self) -> Switched:
        return switch(self.prune, nothing, roots=lambda: binned(self.session), wait_s=5.0)

    def delete(self, switched: Switched) -> list[Deleted]:
        return [delete_batch(self.prune, batch, nothing) for batch in range(switched.batches)]

    def finish(self) -> PruneReport:
        """Add up what stands, and close the run."""
        plan = self.prune.plan.page(0)
        report = self._report(plan) if has_work(plan) else PruneReport()
        tidy(self.prune)
        close_run(self.prune.workspace)
        return report

    def _report(self, plan: PrunePlan) -> PruneReport:
        switched = self.switch()
        deleted = self.delete(switched)
        copied = list(self.prune.plan.results(plan.shards))
        written_bytes = sum(one.bytes_written for one in copied)
        return PruneReport(
            deleted_packs=sum(one.packs for one in deleted),
            unnamed_packs=switched.unnamed,
            freed_bytes=sum(one.size_bytes for one in deleted) + switched.unnamed_bytes - written_bytes,
            written_packs=sum(one.packs_written for one in copied),
            taken_back=switched.taken_back,
            spared=sum(one.spared for one in deleted),
            left=sum(one.left for one in deleted),
        )

    def run(
        self,
        *,
        before_switch: Callable[[], object] = nothing,
        before_delete: Callable[[], object] = nothing,
    ) -> PruneReport:
        """All of it."""
        plan = self.plan()
        self.repack(plan)
        before_switch()
        if has_work(plan):
            switched = self.switch()
            before_delete()
            self.delete(switched)
        return self.finish()
