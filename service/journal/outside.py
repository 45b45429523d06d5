"""Runs that ended otherwise than by themselves: their record says "running" until it is said what became of them.

What may reach the Temporal server may end, reset or delete a workflow there (docs/security.md), and then no step of
the run is left that could record its end.
"""

from collections.abc import Sequence
from dataclasses import replace

from holdfast.errors import EndedOutsideError
from holdfast.service.journal.journal import Journal
from holdfast.service.journal.records import RunRecord
from holdfast.terms import RunStatus


def open_records(
    journal: Journal, *, host: str | None = None, before_ns: int | None = None
) -> list[RunRecord]:
    """The records that say "running".

    Raises:
        JournalUnavailableError.
    """
    return journal.runs(1_000, host=host, statuses=(RunStatus.RUNNING,), before_ns=before_ns)


def record_end(journal: Journal, records: Sequence[RunRecord], how: str, now_ns: int) -> list[RunRecord]:
    """Write that these runs were ended from outside, and give the records as they are then.

    One that has since got its own end keeps that. how: "terminated" and the like.

    Raises:
        JournalUnavailableError.
    """
    ended: list[RunRecord] = []
    for record in records:
        standing = journal.run(record.run_id)
        if standing is None or standing.status is not RunStatus.RUNNING:
            continue
        failed = replace(
            standing,
            status=RunStatus.FAILED,
            failure_kind=EndedOutsideError.__name__,
            failure_message=f"ended from outside: {how}",
            ended_ns=now_ns,
        )
        journal.record(failed)
        ended.append(failed)
    return ended
