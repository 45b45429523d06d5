"""Drives a verification through the engine calls in the order in which the workflow makes them, without Temporal."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from holdfast.ids import SnapshotId, to_hex
from holdfast.repository.session import RepositorySession
from holdfast.runs.opening import close_run
from holdfast.verify.documents import Page, Report, VerifyOrder, VerifyRun
from holdfast.verify.finish import finish_verification
from holdfast.verify.opening import open_verification
from holdfast.verify.plan import plan_verification
from holdfast.verify.shard import read_shard
from holdfast.verify.share import parse_share
from holdfast.verify.trees import check_trees
from tests.support.engine import nothing

ResultT = TypeVar("ResultT")


def once(step: Callable[[], ResultT]) -> ResultT:
    """Do it, and not again when it fails."""
    return step()


def opened(session: RepositorySession, run_id: str, snapshots: Sequence[SnapshotId] = ()) -> VerifyRun:
    """A run that is open: for these snapshots, or for the whole repository."""
    run = VerifyRun(session=session, run_id=run_id)
    open_verification(run, VerifyOrder(snapshots=tuple(map(to_hex, snapshots))) if snapshots else None)
    return run


def verify(
    session: RepositorySession,
    run_id: str = "verify",
    share: str = "all",
    snapshots: Sequence[SnapshotId] = (),
    *,
    attempt: Callable[[Callable[[], object]], object] = once,
) -> Report:
    """All steps. attempt: does one of them, again and again if it likes."""
    pages: list[Page] = []
    reports: list[Report] = []
    run = VerifyRun(session=session, run_id=run_id)
    attempt(lambda: opened(session, run_id, snapshots))
    attempt(lambda: check_trees(run, nothing))
    attempt(lambda: pages.append(plan_verification(run, parse_share(share), now_ns=0)))
    for number in range(pages[-1].shards):
        attempt(partial(read_shard, run, number, nothing))
    attempt(lambda: reports.append(finish_verification(run, nothing)))
    attempt(lambda: close_run(run.workspace))
    return reports[-1]
