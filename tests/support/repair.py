"""Drives a repair through the engine calls in the order in which the workflow makes them, without Temporal."""

import uuid

from holdfast.repair.documents import RepairOrder, RepairRun, Report
from holdfast.repair.opening import open_repair
from holdfast.repair.steps import finish_repair, look_at_shard, plan_repair
from holdfast.repository.session import RepositorySession
from holdfast.runs.opening import close_run
from tests.support.engine import nothing


def repair(session: RepositorySession, order: RepairOrder) -> Report:
    """All steps of a new run."""
    run = RepairRun(session=session, run_id=uuid.uuid4().hex)
    open_repair(run, order)
    page = plan_repair(run)
    for shard in range(page.shards):
        look_at_shard(run, shard, nothing)
    report = finish_repair(run, nothing)
    close_run(run.workspace)
    return report
