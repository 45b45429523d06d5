"""Which earlier run is to be continued: a pure choice from the journal's records.

A run of the same source is continued when it was cancelled or failed less than a day ago, or when the journal says
that it runs and no server knows of it (its database was lost). One that never got as far as opening its workspace
has nothing to continue.
"""

from collections.abc import Collection, Sequence
from typing import Final

from holdfast.journal.records import RunKind, RunOutcome, RunRecord

CONTINUED_WITHIN_NS: Final = 24 * 3600 * 10**9
_OF_SYSTEMS: Final = frozenset((RunKind.SYSTEM_BACKUP, RunKind.SYSTEM_RESTORE))  # they go on by themselves
_ENDED_EARLY: Final = frozenset((RunOutcome.CANCELLED, RunOutcome.FAILED))


def workflow_of(run_id: str) -> str:
    """The id of the workflow that began a run."""
    return run_id.rpartition("/")[0] or run_id


def to_continue(newest: RunRecord | None, *, is_open: bool, now_ns: int) -> RunRecord | None:
    """The newest run of a source, if the next backup of that source is to go on with it.

    is_open: whether the server knows an open workflow for the source; then that one goes on by itself.
    """
    if newest is None or is_open or not was_opened(newest):
        return None
    if newest.status is RunOutcome.RUNNING:
        return newest
    if newest.status in _ENDED_EARLY and now_ns - newest.ended_ns < CONTINUED_WITHIN_NS:
        return newest
    return None


def interrupted(records: Sequence[RunRecord], open_workflows: Collection[str]) -> list[RunRecord]:
    """The runs that `resume` may mean, in the order given: of each source the newest, if it did not reach its end.

    A run whose workflow is open is among them: it goes on once there is a worker.
    """
    seen: set[tuple[RunKind, str, str]] = set()
    found: list[RunRecord] = []
    for record in records:
        subject = (record.kind, record.repository, record.source)
        if subject in seen:
            continue
        seen.add(subject)
        is_open = workflow_of(record.run_id) in open_workflows
        if record.kind in _OF_SYSTEMS or (record.kind is RunKind.DRILL and not is_open):
            continue
        ended_early = record.status in _ENDED_EARLY and was_opened(record)
        if is_open or record.status is RunOutcome.RUNNING or ended_early:
            found.append(record)
    return found


def was_opened(record: RunRecord) -> bool:
    """Whether the run got as far as deciding what it compares with, or which snapshot it restores."""
    if record.kind is RunKind.BACKUP:
        return bool(record.reason)
    if record.kind is RunKind.RESTORE:
        return bool(record.snapshot_id)
    return record.kind is RunKind.VERIFY  # a drill begins anew
