"""Drives a prune through the engine calls in the order in which the workflow makes them, without Temporal."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from holdfast.ids import from_hex
from holdfast.prune.delete import delete_batch
from holdfast.prune.documents import PruneOrder, PrunePlan, PruneReport, PruneRun, Root, Switched
from holdfast.prune.finish import finish_prune
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


def everything(**more: object) -> PruneOrder:
    """An order that leaves nothing unused, of a repository that was verified just now."""
    order: dict[str, object] = {"max_unused": "0", "verified_ns": time.time_ns(), **more}
    return PruneOrder(**order)  # type: ignore[arg-type]  # test data


def binned(session: RepositorySession) -> tuple[Root, ...]:
    """What counts as used because it can be taken back, as the activities give it to a prune."""
    return tuple(Root(from_hex(stored.snapshot.tree)) for stored in bin_roots(session.repository))


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

    def delete(self, switched: Switched) -> None:
        for batch in range(switched.batches):
            delete_batch(self.prune, batch, nothing)

    def finish(self) -> PruneReport:
        report = finish_prune(self.prune)
        close_run(self.prune.workspace)
        return report

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
        if plan.has_work:
            switched = self.switch()
            before_delete()
            self.delete(switched)
        return self.finish()
